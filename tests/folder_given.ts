/** A folder of its own for a test, gone with it. */
export const inFolder = async <T>(body: (folder: string) => T | Promise<T>): Promise<T> => {
  const folder = await Deno.makeTempDir({ prefix: "daybook-test-" });
  try {
    return await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};
