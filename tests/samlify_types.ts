/** What is used of `samlify`, whose own types bring those of a browser along. */
interface Service {
  readonly Binding: string;
  readonly Location: string;
}

interface IdentityProvider {
  createLoginResponse(
    sp: unknown,
    request: object,
    binding: "post",
    user: object,
    fill: (template: string) => { readonly id: string; readonly context: string },
  ): Promise<{ readonly context: string }>;
}

declare const samlify: {
  readonly IdentityProvider: (options: {
    readonly entityID: string;
    readonly privateKey: string;
    readonly signingCert: string;
    readonly isAssertionEncrypted: boolean;
    readonly requestSignatureAlgorithm: string;
    readonly loginResponseTemplate: { readonly context: string; readonly attributes: readonly [] };
    readonly singleSignOnService: readonly Service[];
  }) => IdentityProvider;
  readonly ServiceProvider: (options: {
    readonly entityID: string;
    readonly wantAssertionsSigned: boolean;
    readonly assertionConsumerService: readonly Service[];
  }) => unknown;
  readonly SamlLib: {
    readonly defaultLoginResponseTemplate: { readonly context: string };
    replaceTagsByValue(template: string, values: Readonly<Record<string, string>>): string;
  };
  setSchemaValidator(validator: { validate(xml: string): Promise<string> }): void;
};
export default samlify;
