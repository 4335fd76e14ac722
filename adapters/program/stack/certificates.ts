/** Certificates of services that the folder's own authority issues: there before a start, renewed, and told of to what runs. */
import { join } from "node:path";
import { isAlive, type Process, serviceOf, type Stack } from "../../../actors/services/state.ts";
import { problemText, type ServiceSettings } from "../../../config/stack.ts";
import { Usage } from "../../cli/call.ts";
import { Refused } from "../../cli/runtime.ts";
import type { StatedStack } from "../../cli/settings.ts";
import type { KeptCertificates } from "../certificates/kept.ts";
import { CERTIFICATES_FOLDER } from "../certificates/files.ts";
import { certificateOf } from "./launch.ts";

export interface Served {
  /** As far as it was read. */
  present(): Stack;
  /** To the process itself, not to what it has started; throws where it cannot be sent now. */
  signal(process: Process, signal: Renewed): Promise<void>;
  /** False where it may not be restarted now. */
  restart(service: string, replica: number): Promise<boolean>;
}

type Renewed = Exclude<NonNullable<ServiceSettings["tls"]>["renewed"], "restart" | "nothing">;

export const certificatesIn = (data: string): string => join(data, CERTIFICATES_FOLDER);

/** All that the stack asks for are there when it resolves. Throws `Usage`, with the place in the file, for what may not be certified. */
export const certifyServices = async (
  { settings: { name: stack, services }, problemAt }: Pick<StatedStack, "settings" | "problemAt">,
  { keeper, served }: { readonly keeper: KeptCertificates; readonly served: Served },
): Promise<void> => {
  for (const service of services) {
    const { issued, renewed } = service.tls ?? {};
    const name = certificateOf(stack, service.name);
    if (!issued || !renewed) {
      keeper.leave(name);
      continue;
    }
    const keep = () => keeper.keep({ name, names: issued, uses: ["server"] });
    try {
      await keep();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const path = [service.name, "tls", "issued"];
      const expected = "names that the folder's own authority may certify";
      throw new Usage(problemText(problemAt({ path, expected, found: error.message })));
    }
    keeper.follow(name, keep, async () => {
      await told(service.name, { renewed, since: await keeper.writtenAt(name), served });
    });
  }
};

/** Those that were started before its files were there; what cannot be done now is thrown, and done at the next look. */
const told = async (
  service: string,
  { renewed, since, served }: {
    readonly renewed: NonNullable<ServiceSettings["tls"]>["renewed"];
    readonly since: number;
    readonly served: Served;
  },
): Promise<void> => {
  if (renewed === "nothing") return;
  for (const [replica, life] of serviceOf(served.present(), service)?.lives.entries() ?? []) {
    if (!isAlive(life) || life.at >= since) continue;
    if (renewed !== "restart") await served.signal(life.process, renewed);
    else if (!await served.restart(service, replica)) {
      throw new Error(`${service} is restarted when the others are well`);
    }
  }
};
