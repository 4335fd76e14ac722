/** A small file system of its own, where this process may make one; else the reason why not, which is a failure in CI. */
export const onSmallDisk = async (
  t: Deno.TestContext,
  size: string,
  body: (dir: string, run: (...command: string[]) => Promise<void>) => Promise<void>,
): Promise<void> => {
  const dir = await Deno.makeTempDir();
  const run = async (...[command, ...args]: string[]) => {
    const { success, stderr } = await new Deno.Command(command!, { args, stderr: "piped" }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  try {
    await run("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir);
  } catch (error) {
    await Deno.remove(dir);
    if (Deno.env.get("CI") === "true") throw error;
    console.log(`skipped, cannot mount a small disk: ${(error as Error).message.trim()} (${t.name})`);
    return;
  }
  try {
    await body(dir, run);
  } catch (error) {
    // Whatever holds it still must not hide why.
    await run("umount", "--lazy", dir);
    throw error;
  }
  await run("umount", dir);
  await Deno.remove(dir);
};
