/* Asks the browser for a passkey, or to make one, and sends its answer as an ordinary form. Everything else is the server's. */
(function () {
  "use strict";
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  function asked(options) {
    options.challenge = bytes(options.challenge);
    if (options.user) options.user.id = bytes(options.user.id);
    for (const list of [options.excludeCredentials, options.allowCredentials]) {
      for (const known of list || []) known.id = bytes(known.id);
    }
    return options;
  }

  function answer(credential) {
    const said = credential.response;
    const response = { clientDataJSON: text(said.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (said[name]) response[name] = text(said[name]);
    }
    return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response: response,
      clientExtensionResults: {}, authenticatorAttachment: credential.authenticatorAttachment || undefined });
  }

  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    const trouble = form.querySelector("[data-trouble]");
    form.addEventListener("submit", async (event) => {
      if (form.elements.credential.value) return;
      event.preventDefault();
      trouble.hidden = true;
      try {
        const options = asked(JSON.parse(form.dataset.options));
        const made = form.dataset.passkey === "make";
        const credential = await (made ? navigator.credentials.create({ publicKey: options }) : navigator.credentials.get({ publicKey: options }));
        form.elements.credential.value = answer(credential);
        form.submit();
      } catch (error) {
        trouble.hidden = false;
        trouble.querySelector("code").textContent = error.name || "?";
        form.querySelector("button").focus();
      }
    });
  });
})();
