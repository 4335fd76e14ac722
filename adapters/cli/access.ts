/** What the command line asks about access. */

/** Somebody who could. */
export interface Could {
  readonly type: "User" | "Key" | "Token";
  readonly id: string;
  readonly tenant: string;
  /** Only in a session begun with a second factor, which the account had. */
  readonly second_factor?: true;
  /** Whose key it is. */
  readonly account?: string;
  /** Of the account, those that count. */
  readonly roles?: readonly string[];
  /** Of the token or key. */
  readonly scopes?: readonly string[];
  /** Names of the policies that permit it. */
  readonly policies: readonly string[];
  /** It could without a break from this event on; absent: at any time. */
  readonly since?: { readonly position: number; readonly time: string };
}

export interface WhoCould {
  readonly action: string;
  readonly resource: { readonly type: string; readonly id: string; readonly tenant: string };
  /** After so many events. */
  readonly size: number;
  /** RFC 3339. */
  readonly at: string;
  /** Digest of the policies that counted; `null`: none were on record yet, so those that come with the program were asked. */
  readonly policies: string | null;
  readonly principals: readonly Could[];
}

export interface AccessRuntime {
  /** Secrets that are stored, without their values, and without writing anything. */
  secretList(
    data: string,
  ): Promise<readonly { readonly name: string; readonly version: number; readonly changed: string }[]>;
  /** Throws `Usage` for what is no action or resource. `size`: after so many events. */
  whoCould(
    data: string,
    asking: { readonly action: string; readonly resource: string; readonly size?: number; readonly at?: number },
  ): Promise<WhoCould>;
}
