/**
 * A small real server that stands in for what Debian does not package: `server.ts PORT [URL…]` listens, and says on `/healthz` that it is
 * well when all that it needs (`http://` answers, `tcp://` accepts) is there.
 */
const [port, ...needs] = Deno.args;

const there = async (need: string): Promise<boolean> => {
  try {
    const url = new URL(need);
    if (url.protocol === "tcp:") {
      (await Deno.connect({ hostname: url.hostname, port: Number(url.port) })).close();
      return true;
    }
    const response = await fetch(url);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
};

Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen: () => console.log("listening") }, async ({ url }) => {
  if (new URL(url).pathname !== "/healthz") return new Response("here\n");
  const all = await Promise.all(needs.map(there));
  return new Response(all.every(Boolean) ? "well\n" : "not yet\n", { status: all.every(Boolean) ? 200 : 503 });
});
