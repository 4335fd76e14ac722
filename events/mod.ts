/** The catalogue of facts: one line per domain. */
import { alerts } from "./alerts.ts";
import { access } from "./access.ts";
import { benchmarks } from "./benchmarks.ts";
import { catalogue } from "./catalogue.ts";
import { certificates } from "./certificates.ts";
import { cloudtrail } from "./cloudtrail.ts";
import { commits } from "./commits.ts";
import { controlsDomain } from "./controls.ts";
import { identity } from "./identity/mod.ts";
import { kernelDomain } from "./kernel.ts";
import { privacy } from "./privacy.ts";
import { releases } from "./releases.ts";
import { services } from "./services.ts";
import { sources } from "./sources.ts";
import { threats } from "./threats.ts";

export const events = catalogue(
  alerts,
  access,
  commits,
  benchmarks,
  cloudtrail,
  identity,
  kernelDomain,
  privacy,
  services,
  certificates,
  controlsDomain,
  releases,
  sources,
  threats,
);
