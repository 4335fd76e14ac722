/** Programs of others that tests ask. */

/** Path of a program, where there is one. */
export const pathOf = (name: string): string | undefined =>
  `${Deno.env.get("PATH")}:/usr/sbin:/sbin`.split(":").map((folder) => `${folder}/${name}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });

/** Where a program or a package is missing it is printed what is not tested then, and CI fails. */
export const missing = (name: string, untested: string): undefined => {
  if (Deno.env.get("CI") === "true") throw new Error(`${name} is not installed`);
  console.log(`${name} is not installed: ${untested}`);
};

/** Path of a program, which a test cannot do without. */
export const installed = (name: string, untested: string): string | undefined =>
  pathOf(name) ?? missing(name, untested);

/** Whether all are installed. */
export const allInstalled = (names: readonly string[], untested: string): boolean =>
  names.filter((name) => installed(name, untested) === undefined).length === 0;

export const openssl = installed("openssl", "certificates are not looked at by it");
