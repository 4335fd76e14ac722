/** Path of openssl; where there is none a reason is printed, and CI fails. */
export const openssl = ["/usr/bin/openssl", "/usr/local/bin/openssl"].find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});
if (openssl === undefined) {
  if (Deno.env.get("CI") === "true") throw new Error("openssl is not installed");
  console.log("openssl is not installed: certificates are not looked at by it");
}
