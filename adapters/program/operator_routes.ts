/** What the operator asks of a running program: its state, and messages that could not be delivered. */
import { answers, content, inPath, object, problems } from "../http/openapi_parts.ts";
import { Problem } from "../http/problem.ts";
import { segment } from "../http/query.ts";
import { json, type Route } from "../http/route.ts";
import type { Opened } from "./opened.ts";

const anything = { type: "object" };

export const operatorRoutes = ({ daybook }: Pick<Opened, "daybook">): readonly Route[] => [{
  method: "GET",
  path: "/status",
  action: "status.read",
  about: "State, size, health and projections, as the status page and the command line show them.",
  openapi: () => ({
    responses: { "200": answers("The state of it all", content("application/json", anything)), ...problems("read") },
  }),
  handle: (exchange) => json(exchange, 200, daybook.status()),
}, {
  method: "GET",
  path: "/dead-letters",
  action: "dead_letters.read",
  about: "Messages that could not be delivered, oldest first.",
  openapi: () => ({
    responses: {
      "200": answers(
        "The letters; what is sealed in them stays sealed",
        content(
          "application/json",
          object({
            deadLetters: { type: "array", items: anything },
            evicted: { type: "integer", description: "Further ones that gave way to those, and are in the log alone." },
          }),
        ),
      ),
      ...problems("admin"),
    },
  }),
  handle: (exchange) =>
    json(exchange, 200, {
      deadLetters: daybook.redact(daybook.deadLetters()),
      evicted: daybook.status().deadLettersEvicted,
    }),
}, {
  method: "POST",
  path: "/dead-letters/:id/redrive",
  action: "dead_letters.redrive",
  about: "Delivers a dead letter again: 200 with what came of it, 404 when there is none of that id.",
  openapi: () => ({
    parameters: [inPath("id", "Id of the letter, as the list has it.")],
    responses: {
      "200": answers("What came of it", content("application/json", object({ is: { type: "string" } }))),
      ...problems("admin", "not_found"),
    },
  }),
  async handle(exchange) {
    const redriven = await daybook.redrive(segment(exchange.path.split("/")[2]!));
    if (redriven.is === "unknown") throw new Problem("not_found", "There is no dead letter of this id.");
    return json(exchange, 200, redriven);
  },
}];
