/**
 * Merkle trees and their proofs a second time, straight from the definitions of RFC 9162 section 2.1 and with nothing of the project's:
 * what the writer makes and the verifier accepts is held against it. Slow, and meant to be read beside the RFC.
 */
import { createHash } from "node:crypto";

export type Hash = Uint8Array;

/** The inputs that implementations of RFC 6962 share (github.com/transparency-dev/merkle, testonly), and the roots over the first 0 to 8. */
export const INPUTS: readonly Uint8Array[] = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
].map((hex) => Uint8Array.fromHex(hex));
export const ROOTS: readonly Hash[] = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
].map((hex) => Uint8Array.fromHex(hex));

const sha256 = (...parts: readonly Uint8Array[]): Hash => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

/** Section 2.1.1: `SHA-256(0x00 || d)`. */
export const leaf = (entry: Uint8Array): Hash => sha256(Uint8Array.of(0), entry);
const node = (left: Hash, right: Hash): Hash => sha256(Uint8Array.of(1), left, right);

/** "Let k be the largest power of two smaller than n." */
const split = (n: number): number => {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
};

/** Section 2.1.1, over leaf hashes. */
export const mth = (d: readonly Hash[]): Hash => {
  if (d.length === 0) return sha256();
  if (d.length === 1) return d[0]!;
  const k = split(d.length);
  return node(mth(d.slice(0, k)), mth(d.slice(k)));
};

/** Section 2.1.3.1: PATH(m, D[n]). */
export const path = (m: number, d: readonly Hash[]): Hash[] => {
  if (d.length === 1) return [];
  const k = split(d.length);
  return m < k ? [...path(m, d.slice(0, k)), mth(d.slice(k))] : [...path(m - k, d.slice(k)), mth(d.slice(0, k))];
};

/** Section 2.1.4.1: SUBPROOF(m, D[n], b). */
const subproof = (m: number, d: readonly Hash[], whole: boolean): Hash[] => {
  if (m === d.length) return whole ? [] : [mth(d)];
  const k = split(d.length);
  return m <= k
    ? [...subproof(m, d.slice(0, k), whole), mth(d.slice(k))]
    : [...subproof(m - k, d.slice(k), false), mth(d.slice(0, k))];
};

/** Section 2.1.4.1: PROOF(m, D[n]), 0 < m <= n. */
export const consistency = (m: number, d: readonly Hash[]): Hash[] => subproof(m, d, true);

const same = (a: Hash, b: Hash): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The root that a path leads to from leaf m of n; `undefined` when it is too short or too long. Top down, unlike the RFC's algorithm. */
const rootOfPath = (m: number, n: number, hash: Hash, proof: readonly Hash[]): Hash | undefined => {
  if (n === 1) return proof.length === 0 ? hash : undefined;
  const k = split(n);
  const [below, sibling] = [proof.slice(0, -1), proof.at(-1)];
  if (!sibling) return undefined;
  const root = m < k ? rootOfPath(m, k, hash, below) : rootOfPath(m - k, n - k, hash, below);
  return root && (m < k ? node(root, sibling) : node(sibling, root));
};

export const includes = (m: number, n: number, hash: Hash, proof: readonly Hash[], root: Hash): boolean => {
  if (m < 0 || m >= n) return false;
  const found = rootOfPath(m, n, hash, proof);
  return found !== undefined && same(found, root);
};

/** Roots of the first m and of all n that a consistency proof leads to, from the root of the first m where it is a subtree. */
const rootsOfProof = (
  m: number,
  n: number,
  whole: Hash | undefined,
  proof: readonly Hash[],
): readonly [Hash, Hash] | undefined => {
  if (m === n) {
    const hash = whole ?? proof[0];
    return hash && proof.length === (whole ? 0 : 1) ? [hash, hash] : undefined;
  }
  const k = split(n);
  const [below, sibling] = [proof.slice(0, -1), proof.at(-1)];
  if (!sibling) return undefined;
  if (m <= k) {
    const roots = rootsOfProof(m, k, whole, below);
    return roots && [roots[0], node(roots[1], sibling)];
  }
  const roots = rootsOfProof(m - k, n - k, undefined, below);
  return roots && [node(sibling, roots[0]), node(sibling, roots[1])];
};

export const extends_ = (m: number, n: number, proof: readonly Hash[], root1: Hash, root2: Hash): boolean => {
  if (m < 1 || m > n) return false;
  const roots = rootsOfProof(m, n, root1, proof);
  return roots !== undefined && same(roots[0], root1) && same(roots[1], root2);
};
