/** Programs of others that tests ask. */

const FOLDERS = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];

/** Path of a program; where it is missing it is printed what is not tested then, and CI fails. */
export const installed = (name: string, untested: string): string | undefined => {
  const found = FOLDERS.map((folder) => `${folder}/${name}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (found !== undefined) return found;
  if (Deno.env.get("CI") === "true") throw new Error(`${name} is not installed`);
  console.log(`${name} is not installed: ${untested}`);
};

export const openssl = installed("openssl", "certificates are not looked at by it");
