// Without this, or without authenticators, the forms stay hidden: codes and passwords need no script.
const { credentials } = navigator;
const known = globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON !== undefined;
const ask = async ({ dataset: { passkey, options } }) => {
  const asked = JSON.parse(options);
  return passkey === "new"
    ? await credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) })
    : await credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) });
};
for (const form of known ? document.querySelectorAll("form[data-passkey]") : []) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = form.querySelector("[role=status]");
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      form.elements.namedItem("response").value = JSON.stringify(await ask(form));
      form.submit();
    } catch (error) {
      said.textContent = error.name === "InvalidStateError"
        ? "This passkey is set up already."
        : "No passkey was shown. Try again, or go another way.";
      button.disabled = false;
    }
  });
}
