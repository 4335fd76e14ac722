/** The catalogue of deciders: one line per domain. */
import { alerts } from "./alerts/rule.ts";
import { certificates } from "./certificates.ts";
import { access } from "./access.ts";
import { commits } from "./commits.ts";
import { controls } from "./controls.ts";
import { identity } from "./identity/actor.ts";
import { privacy } from "./privacy.ts";
import { services } from "./services/stack.ts";
import { threats } from "./threats/threat.ts";
import type { Actor } from "./types.ts";

export const actors: readonly Actor[] = [
  commits,
  alerts,
  certificates,
  controls,
  identity,
  privacy,
  services,
  access,
  threats,
];
