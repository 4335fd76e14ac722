/** Who tells: what every format says of the program beside the event. */
export interface Emitter {
  readonly product: { readonly name: string; readonly vendor_name: string; readonly version: string };
  /** Name of the log, as on its checkpoints; absent where nobody knows it. */
  readonly origin?: string;
}

export const emitterOf = (version: string, origin?: string): Emitter => ({
  product: { name: "Daybook", vendor_name: "Daybook", version },
  ...(origin === undefined ? {} : { origin }),
});
