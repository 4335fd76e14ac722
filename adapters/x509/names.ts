/** Names and addresses of certificates, and which of them an authority may certify (RFC 5280 section 4.2.1.10). */
import { BlockList, isIP } from "node:net";

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** A host name in lower case, of labels (RFC 1123 section 2.1); the first may be `*`. */
const isHostName = (name: string): boolean =>
  name.length <= 253 && !/^[0-9.]+$/.test(name) &&
  name.split(".").every((label, at, all) => LABEL.test(label) || label === "*" && at === 0 && all.length > 1);

export const isName = (name: string): boolean => isIP(name) !== 0 || isHostName(name);

/** `10.0.0.0/8`, `::1/128`. */
const rangeOf = (
  text: string,
): { readonly address: string; readonly bits: number; readonly kind: 4 | 6 } | undefined => {
  const [address = "", bits = "", ...more] = text.split("/");
  const kind = isIP(address);
  if (kind === 0 || more.length > 0 || !/^\d{1,3}$/.test(bits)) return undefined;
  if (Number(bits) > (kind === 4 ? 32 : 128)) return undefined;
  return { address, bits: Number(bits), kind: kind as 4 | 6 };
};

export const isPermitted = (name: string, limits: readonly string[]): boolean =>
  limits.some((limit) => {
    const range = rangeOf(limit);
    const kind = isIP(name);
    if (!range) return kind === 0 && (name === limit || name.endsWith(`.${limit}`));
    if (kind !== range.kind) return false;
    const list = new BlockList();
    const family = kind === 4 ? "ipv4" : "ipv6";
    list.addSubnet(range.address, range.bits, family);
    return list.check(name, family);
  });
