/** A worker that gets into every kind of trouble, as told. */
import { work } from "../../adapters/system/worker_side.ts";
import { hang } from "../hang.ts";

let deaf = false;

work({
  message(data, reply) {
    switch (data) {
      case "throw":
        throw new Error("thrown in the worker");
      case "reject":
        return Promise.reject(new Error("rejected in the worker"));
      case "exit":
        return Deno.exit(0);
      case "close":
        return self.close();
      case "hang":
        return hang();
      case "deaf":
        deaf = true;
        return reply("deaf");
      case "environment":
        try {
          return reply(Deno.env.get("HOME"));
        } catch (error) {
          return reply((error as Error).name);
        }
      default:
        return reply({ echo: data });
    }
  },
  stop: () => deaf ? new Promise(() => {}) : undefined,
});
