/** Who works on the machine itself. */
import { HOUSE } from "../../events/tenants.ts";
import type { Grant } from "../http/access.ts";

/** Whoever can open the folder's socket is the operator. */
export const OPERATOR: Grant = {
  id: "operator",
  scopes: ["admin"],
  tenant: HOUSE,
  principal: { authtype: "user", authid: "operator" },
};
