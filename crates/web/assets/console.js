// What pages can't do without a script: passkeys, the code behind `#`, and live states. Everything else is links and forms.
"use strict";

const encode = (buffer) => {
  let text = "";
  for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};
const decode = (text) => {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
};
const say = (form, words) => {
  const place = form.querySelector("[data-says]");
  if (place) { place.textContent = words; place.hidden = false; }
};

// A form that a passkey fills in: what it is asked for stands in the form, what it answers goes into its fields.
for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    if (form.dataset.filled || event.submitter?.hasAttribute("data-plain")) return;
    event.preventDefault();
    if (!window.PublicKeyCredential) { say(form, "This browser has no passkeys. Use another way to sign in."); return; }
    const set = (name, value) => { form.elements.namedItem(name).value = value; };
    const data = form.dataset;
    const challenge = decode(data.challenge);
    try {
      if (data.passkey === "create") {
        const made = await navigator.credentials.create({ publicKey: {
          challenge, rp: { id: data.party, name: "Tenet" },
          user: { id: decode(data.user), name: data.account || form.elements.namedItem("name").value, displayName: data.account || form.elements.namedItem("name").value },
          pubKeyCredParams: data.algorithms.split(" ").map((alg) => ({ type: "public-key", alg: Number(alg) })),
          authenticatorSelection: { residentKey: "required", userVerification: "required" },
          attestation: "none", timeout: 240000,
        } });
        set("client_data", encode(made.response.clientDataJSON));
        set("attestation", encode(made.response.attestationObject));
      } else {
        const found = await navigator.credentials.get({ publicKey: {
          challenge, rpId: data.party, userVerification: "required", timeout: 240000,
        } });
        set("credential", encode(found.rawId));
        set("client_data", encode(found.response.clientDataJSON));
        set("authenticator_data", encode(found.response.authenticatorData));
        set("signature", encode(found.response.signature));
        set("user_handle", encode(found.response.userHandle || new ArrayBuffer(0)));
      }
    } catch (error) {
      say(form, error.name === "NotAllowedError" ? "No passkey answered, or you cancelled. Try again." : `That did not work: ${error.message}`);
      return;
    }
    form.dataset.filled = "1";
    form.requestSubmit();
  });
}

// A secret behind `#` never goes to the server with the address: it is put into the form, and taken out of the address.
const secret = document.querySelector("[data-from-hash]");
if (secret && location.hash.length > 1) {
  secret.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  // Nobody is signed in by a link alone: it may be somebody else's.
  secret.form.querySelector("button").focus();
}

// Live states: when something that is shown has changed, the page is read again, and its parts are put in place.
if (document.querySelector("[data-live]") && window.EventSource) {
  const source = new EventSource("/live");
  let reading = false;
  source.addEventListener("changed", async () => {
    if (reading || document.hidden) return;
    reading = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { "x-tenet-page": "1" } });
      if (!answer.ok || answer.redirected) { source.close(); return; }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const other = fresh.getElementById(part.id);
        if (other && other.innerHTML !== part.innerHTML && !part.contains(document.activeElement)) {
          part.innerHTML = other.innerHTML;
          part.className = other.className;
          part.classList.add("flash");
        }
      }
    } finally { reading = false; }
  });
}

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => { if (!window.confirm(form.dataset.confirm)) event.preventDefault(); });
}
