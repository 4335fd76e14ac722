/** A browser made of `fetch`: keeps cookies by host, follows where it is led, fills in a provider's forms. */
export class Browser {
  private readonly jar = new Map<string, Map<string, string>>();

  async go(url: string, init: RequestInit = {}): Promise<Response> {
    const { host } = new URL(url);
    const held = this.jar.get(host) ?? new Map<string, string>();
    this.jar.set(host, held);
    const cookie = [...held].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", ...(cookie && { cookie }), ...init.headers };
    const response = await fetch(url, { ...init, redirect: "manual", headers });
    for (const set of response.headers.getSetCookie()) {
      const [pair] = set.split(";", 1);
      const at = pair!.indexOf("=");
      if (pair!.slice(at + 1) === "" || /max-age=0|expires=thu, 01 jan 1970/i.test(set)) {
        held.delete(pair!.slice(0, at));
      } else held.set(pair!.slice(0, at), pair!.slice(at + 1));
    }
    return response;
  }

  cookie(url: string, name: string): string | undefined {
    return this.jar.get(new URL(url).host)?.get(name);
  }

  /** From the provider's first page to the address it sends the browser back to, which is not gone to. */
  async vouchedFor(location: string, login: string, back: string): Promise<string> {
    for (let at = location, tries = 0; tries < 20; tries++) {
      if (at.startsWith(back)) return at;
      const response = await this.go(at);
      const next = response.headers.get("location");
      const page = await response.text();
      if (next !== null) {
        at = new URL(next, at).href;
        continue;
      }
      const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1];
      if (action === undefined) throw new Error(`${at}: ${response.status} ${page.slice(0, 400)}`);
      const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1] ?? "consent";
      const answered = await this.go(new URL(action.replaceAll("&amp;", "&"), at).href, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams({ prompt, login, password: "any" }).toString(),
      });
      await answered.body?.cancel();
      at = new URL(answered.headers.get("location")!, at).href;
    }
    throw new Error("the provider leads on and on");
  }
}
