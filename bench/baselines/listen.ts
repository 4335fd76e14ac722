/** Baseline of starting: a script that listens and answers nothing of use. */
Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`listening on http://127.0.0.1:${port}`),
}, () => new Response());
