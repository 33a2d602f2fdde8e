/**
 * The dashboard's page: Preact and signals. Everything shown comes from the agent's API on the same origin;
 * names of containers, networks and policies are text of strangers, so nothing is ever made from them but text.
 */
import { h, render } from "preact";
import { App } from "./app.ts";
import { start } from "./session.ts";
import { applyTheme } from "./theme.ts";

applyTheme();
void start();
const root = document.querySelector("#app");
if (root !== null) render(h(App, {}), root);
