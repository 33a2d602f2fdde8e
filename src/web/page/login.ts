import { useSignal } from "@preact/signals";
import { h, type JSX } from "preact";
import { Refusal } from "./api.ts";
import { login } from "./session.ts";

export function Login(): JSX.Element {
  const token = useSignal("");
  const problem = useSignal("");
  const submit = (event: Event): void => {
    event.preventDefault();
    // A whole link does as well.
    const given = token.value.trim().replace(/^.*#token=/, "");
    login(given).catch((error: unknown) => {
      problem.value = error instanceof Refusal ? error.message : "Cannot reach the agent";
    });
  };
  return h(
    "div",
    { class: "login" },
    h(
      "form",
      { onSubmit: submit },
      h("img", { src: "/app/icon.svg", alt: "", width: 48, height: 48 }),
      h("h1", {}, "Manx"),
      h(
        "p",
        {},
        "On the host, ",
        h("code", {}, "sudo manx ui"),
        " prints a link that opens this page, or the token for here.",
      ),
      h("label", { for: "token" }, "Token"),
      h("input", {
        id: "token",
        type: "password",
        autocomplete: "current-password",
        required: true,
        autofocus: true,
        value: token.value,
        onInput: (event: Event) => (token.value = (event.currentTarget as HTMLInputElement).value),
      }),
      h("p", { class: "problem", role: "alert" }, problem.value),
      h("button", { type: "submit", class: "primary" }, "Log in"),
    ),
  );
}
