/** `GET /access/who-could`: the same question as the command's, asked of the running server. */
import { z } from "zod";
import { answers, content, problems, queryOf } from "../../http/openapi_parts.ts";
import { Problem } from "../../http/problem.ts";
import { moment, parameters, parseQuery } from "../../http/query.ts";
import { json, type Route } from "../../http/route.ts";
import { resolveAt, timeOf } from "../../http/views.ts";
import { Usage } from "../../cli/call.ts";
import type { Opened } from "../opened.ts";

const query = z.strictObject({
  action: z.string().min(1).max(64).meta({ description: "As docs/access.md lists them." }),
  resource: z.string().min(1).max(512).meta({
    description: "log, a stream, an account (u_…), view:NAME, operation:NAME or tenant:NAME.",
  }),
  at: moment.optional(),
});

export const accessRoutes = ({ daybook: { log } }: Pick<Opened, "daybook">): readonly Route[] => [{
  method: "GET",
  path: "/access/who-could",
  action: "access.explain",
  about: "Who could do something to something, now or after a position, by the policies, roles and tokens of then.",
  openapi: () => ({
    parameters: queryOf(query),
    responses: {
      "200": answers("Everybody who could, and by which policies", content("application/json", { type: "object" })),
      ...problems("admin", "invalid_query"),
    },
  }),
  async handle(exchange) {
    const { at, ...asked } = parseQuery(query, parameters(exchange.query));
    const position = resolveAt(exchange, at);
    if (position !== undefined && position >= log.size) {
      throw new Problem("invalid_query", `There is no event ${position}; the log has ${log.size}.`);
    }
    const { whoCould } = await import("./who_could.ts");
    const now = position === undefined
      ? { at: exchange.site.clock.now() }
      : { size: position + 1, at: timeOf(at).time };
    try {
      return json(exchange, 200, await whoCould(log, { ...asked, ...now }));
    } catch (error) {
      if (error instanceof Usage) throw new Problem("invalid_query", `${error.message}.`);
      throw error;
    }
  },
}];
