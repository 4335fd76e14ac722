/** The catalogue of facts: one line per domain. */
import { benchmarks } from "./benchmarks.ts";
import { catalogue } from "./catalogue.ts";
import { cloudtrail } from "./cloudtrail.ts";
import { commits } from "./commits.ts";
import { identity } from "./identity/mod.ts";
import { kernelDomain } from "./kernel.ts";
import { privacy } from "./privacy.ts";
import { services } from "./services.ts";

export const events = catalogue(commits, benchmarks, cloudtrail, identity, kernelDomain, privacy, services);
