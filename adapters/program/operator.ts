/** Who works on the machine itself. */
import type { Grant } from "../http/access.ts";

/** Whoever can open the folder's socket is the operator. */
export const OPERATOR: Grant = {
  id: "operator",
  scopes: ["admin"],
  principal: { authtype: "user", authid: "operator" },
};
