// The console: signs in, then shows the project's vaults, volumes, backups and tasks, asking every two
// seconds. It knows nothing that other clients of the same APIs do not. Everything shown is set as text.
"use strict";

const POLL_MS = 2000;
const STORE = "emberkeep";
const $ = (id) => document.getElementById(id);

let session = null;      // {token, project: {id, name}, user}
let timer = null;
let round = 0;           // grows with each sign-in and sign-out: late answers of an earlier one are dropped
let lastStatus = null;

// ---- asking ----

class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

/** What an API says is wrong; each has a form of its own. */
function wording(body, status) {
  if (body && typeof body === "object") {
    if (typeof body.error_msg === "string") return body.error_msg;
    for (const part of Object.values(body)) {
      if (part && typeof part === "object" && typeof part.message === "string") return part.message;
    }
  }
  return `The service answered with status ${status}.`;
}

async function ask(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      cache: "no-store",
      headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }),
        ...(session && { "X-Auth-Token": session.token }) },
      body: body && JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, "The service cannot be reached. Trying again…");
  }
  const text = await response.text();
  let answer = null;
  try { answer = text ? JSON.parse(text) : null; } catch { /* the status says enough */ }
  if (!response.ok) throw new Refused(response.status, wording(answer, response.status));
  return { answer, headers: response.headers };
}

const get = async (path) => (await ask("GET", path)).answer;
const cbr = (path) => `/cbr/v3/${session.project.id}${path}`;
const volume = (path) => `/volume/v3/${session.project.id}${path}`;

// ---- signing in and out ----

async function signIn(event) {
  event.preventDefault();
  const form = event.target;
  const fields = form.elements;
  const button = form.querySelector("button");
  const domain = { name: "Default" };
  const user = { name: fields.user.value, domain, password: fields.password.value };
  const auth = { identity: { methods: ["password"], password: { user } } };
  const project = fields.project.value.trim();
  if (project) auth.scope = { project: { name: project, domain } };
  button.disabled = true;
  try {
    const { answer, headers } = await ask("POST", "/identity/v3/auth/tokens?nocatalog", { auth });
    if (!answer.token.project) throw new Refused(400, "This user has no default project: name one.");
    const { id, name } = answer.token.project;
    session = { token: headers.get("X-Subject-Token"), project: { id, name }, user: answer.token.user.name };
    sessionStorage.setItem(STORE, JSON.stringify(session));
    form.reset();
    begin();
  } catch (error) {
    complain(error.status === 401 ? "User, password or project is wrong." : error.message);
    fields.password.focus();
  } finally {
    button.disabled = false;
  }
}

function signOut(message) {
  if (session) {
    const headers = { "X-Auth-Token": session.token, "X-Subject-Token": session.token };
    // Taken back if it can be; it ends by itself otherwise.
    fetch("/identity/v3/auth/tokens", { method: "DELETE", headers }).catch(() => {});
  }
  session = null;
  round += 1;
  clearTimeout(timer);
  sessionStorage.removeItem(STORE);
  for (const id of ["vaults", "volumes", "backups", "tasks"]) $(id).replaceChildren();
  if ($("ask").open) $("ask").close();
  show(false);
  complain(message || null);
  say(null);
  document.querySelector("#sign-in [name=user]").focus();
}

function show(signedIn) {
  $("sign-in").hidden = signedIn;
  $("tables").hidden = !signedIn;
  $("who").hidden = !signedIn;
  if (signedIn) $("who-text").textContent = `${session.user} in ${session.project.name}`;
}

function begin() {
  round += 1;
  complain(null);
  show(true);
  poll();
}

// ---- telling ----

function complain(message) {
  if ($("error").textContent !== (message || "")) $("error").textContent = message || "";
  $("error").hidden = !message;
}

function say(message) {
  clearTimeout(lastStatus);
  $("status").textContent = message || "";
  $("status").hidden = !message;
  if (message) lastStatus = setTimeout(() => say(null), 8000);
}

// ---- polling ----

let pollComplained = false;
let turn = 0;            // only the newest poll goes on: asking at once must not start a second row of them

async function poll() {
  clearTimeout(timer);
  turn += 1;
  const [mine, myTurn] = [round, turn];
  if (!document.hidden) {
    try {
      const [vaults, volumes, backups, tasks] = await Promise.all([
        get(cbr("/vaults")), get(volume("/volumes/detail?limit=1000")), get("/api/v1/backups"), get("/api/v1/tasks?limit=50"),
      ]);
      if (mine !== round || myTurn !== turn) return;
      render(vaults.vaults, volumes.volumes, backups.backups, tasks.tasks);
      if (pollComplained) complain(null);
      pollComplained = false;
    } catch (error) {
      if (mine !== round || myTurn !== turn) return;
      if (error.status === 401) return signOut("Your sign-in has ended. Please sign in again.");
      pollComplained = true;
      complain(error.message);
    }
  }
  timer = setTimeout(poll, POLL_MS);
}

// ---- showing ----

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function bytes(count) {
  if (count < 1024) return `${count} B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = count / 1024;
  let unit = 0;
  while (value >= 1023.95 && unit + 1 < units.length) { value /= 1024; unit += 1; }
  return `${value.toFixed(1)} ${units[unit]}`;
}

function when(text) {
  const date = new Date(/Z$|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`);
  return Number.isNaN(date.getTime()) ? text
    : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

const GOOD = ["available", "in-use", "succeeded"];
const BAD = /error|failed|timed_out|cancelled/;

function word(text) {
  const kind = GOOD.includes(text) ? "good" : BAD.test(text) ? "bad" : "busy";
  return make("span", { className: `word ${kind}`, textContent: text.replaceAll("_", " ") });
}

function named(name, id) {
  return [name || "(no name)", make("small", { textContent: id })];
}

/** Words for a screen reader say what the button is about; the eye sees that from the row. */
function button(text, about, className, act) {
  const element = make("button", { type: "button", className, textContent: text, onclick: act });
  element.setAttribute("aria-label", `${text}: ${about}`);
  return element;
}

/**
 * Brings a table up to date. Rows are kept by id and only changed ones are made anew, so that what is
 * being read or has the focus does not move away.
 */
function table(id, items, labels, signature, cells) {
  const body = $(id);
  const known = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  items.forEach((item, place) => {
    const text = JSON.stringify(signature(item));
    let row = known.get(item.id);
    known.delete(item.id);
    if (!row || row.dataset.text !== text) {
      const fresh = make("tr");
      fresh.dataset.id = item.id;
      fresh.dataset.text = text;
      cells(item).forEach((content, n) => {
        const cell = make(n === 0 ? "th" : "td", {});
        if (n === 0) cell.scope = "row";
        cell.append(make("div", {}, ...[content].flat()));
        if (labels[n]) cell.dataset.label = labels[n]; else cell.className = "actions";
        fresh.append(cell);
      });
      const focused = row && row.contains(document.activeElement) ? document.activeElement.textContent : null;
      if (row) row.replaceWith(fresh);
      row = fresh;
      if (focused) [...row.querySelectorAll("button")].find((b) => b.textContent === focused && !b.disabled)?.focus();
    }
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] || null);
  });
  for (const row of known.values()) row.remove();
  body.parentElement.hidden = items.length === 0;
  $(`${id}-empty`).hidden = items.length !== 0;
}

function render(vaults, volumes, backups, tasks) {
  const vaultOf = new Map();
  for (const vault of vaults) for (const resource of vault.resources) vaultOf.set(resource.id, vault.name);

  table("vaults", vaults, ["Name", "Status", "Resources", "Used", null], (vault) => vault, (vault) => {
    const { size, used, allocated, status } = vault.billing;
    const text = `${bytes(used * 2 ** 20)} of ${size} GiB`;
    const meter = make("meter", { min: 0, max: size * 1024, value: used, high: size * 1024 * 0.8, title: text });
    meter.setAttribute("aria-label", `Used of ${vault.name}`);
    return [
      named(vault.name, vault.id), word(status),
      [`${vault.resources.length}`, make("small", { textContent: `${allocated} GiB in all` })],
      [meter, make("small", { textContent: text })],
      make("span", {}, Object.assign(button("Take checkpoint", vault.name, "", () => takeCheckpoint(vault)), {
        disabled: status !== "available" || vault.resources.length === 0 })),
    ];
  });

  table("volumes", volumes, ["Name", "Status", "Size", "Vault"],
    (item) => [item.name, item.status, item.size, vaultOf.get(item.id)],
    (item) => [named(item.name, item.id), word(item.status), `${item.size} GiB`, vaultOf.get(item.id) || "–"]);

  table("backups", backups, ["Name", "Volume", "Status", "Size", "Stored", "Taken", null],
    (item) => item,
    (item) => {
      const about = item.name || item.id;
      return [
        named(item.name, item.id), named(item.volume.name, item.volume.id),
        item.fail_reason && ["failed", "damaged"].includes(item.status)
          ? [word(item.status), make("small", { textContent: item.fail_reason }), ...lost(item.damage)] : word(item.status),
        `${item.size_gib} GiB`,
        item.bytes ? [bytes(item.bytes.stored), make("small", { textContent: `${bytes(item.bytes.new)} were new` })] : "–",
        when(item.data_timestamp),
        [Object.assign(button("Restore", about, "quiet", () => restore(item, volumes)), { disabled: item.status !== "available" }),
          Object.assign(button("Delete", about, "danger", () => remove(item)), { disabled: !["available", "damaged", "failed"].includes(item.status) })],
      ];
    });

  table("tasks", tasks, ["Task", "About", "Status", "Progress", "Begun", null],
    (item) => item,
    (item) => {
      const about = [item.backup, item.volume, item.vault].find(Boolean);
      const { percent, bytes_done: done, bytes_total: total, bytes_per_sec: rate, seconds_left: left } = item.progress;
      const running = ["waiting", "running"].includes(item.status);
      const bar = make("progress", { max: 100, value: percent });
      bar.setAttribute("aria-label", `Progress of ${item.kind.replaceAll("_", " ")}`);
      const detail = [total ? `${bytes(done)} of ${bytes(total)}` : null, running && rate ? `${bytes(rate)}/s` : null,
        left !== null ? `${left} s left` : null].filter(Boolean).join(", ");
      return [
        [item.kind.replaceAll("_", " "), make("small", { textContent: item.id })],
        about ? named(about.name, about.id) : "–",
        item.reason ? [word(item.status), make("small", { textContent: item.reason })] : word(item.status),
        [bar, make("small", { textContent: detail || `${percent} %` })],
        when(item.started_at || item.created_at),
        running && ["backup", "restore", "sweep"].includes(item.kind)
          ? Object.assign(button("Cancel", item.kind, "quiet", () => cancel(item)), { disabled: item.cancel_asked }) : "",
      ];
    });
}

/** Says where in the volume a damaged backup has lost bytes, the first few places. */
function lost(damage) {
  if (!damage || damage.ranges.length === 0) return [];
  const shown = damage.ranges.slice(0, 5).map(({ start, end }) => `${start}–${end - 1}`);
  const more = damage.ranges.length - shown.length;
  const places = shown.join(", ") + (more > 0 ? ` and ${more} more` : "");
  return [make("small", { textContent: `Lost bytes of the volume: ${places}. Since ${when(damage.since)}.` })];
}

// ---- doing ----

/** Asks for confirmation; `fields` are put into the dialog, `act` runs when it is given. */
function askFirst(title, text, yes, danger, fields, act) {
  const dialog = $("ask");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-fields").replaceChildren(...fields);
  $("ask-yes").textContent = yes;
  $("ask-yes").className = danger ? "danger" : "";
  $("ask-yes").disabled = false;
  dialog.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    $("ask-yes").disabled = true;
    const mine = round;
    try {
      const message = await act();
      if (mine !== round) return;
      complain(null);
      say(message);
      dialog.close();
      poll();
    } catch (error) {
      if (mine !== round) return;
      dialog.close();
      if (error.status === 401) return signOut("Your sign-in has ended. Please sign in again.");
      pollComplained = false;
      complain(error.message);
    }
  };
  dialog.showModal();
  if (danger) $("ask-no").focus();
}

function field(label, input) {
  return make("label", {}, label, input);
}

function takeCheckpoint(vault) {
  const name = make("input", { maxLength: 64, placeholder: "made up if left empty", pattern: "[A-Za-z0-9_\\-\\u4e00-\\u9fff]*",
    title: "Letters, digits, _ and -" });
  askFirst(`Take a checkpoint of ${vault.name}?`, `One backup of each of its ${vault.resources.length} resources is made.`,
    "Take checkpoint", false, [field("Name", name)], async () => {
      const parameters = name.value ? { name: name.value } : {};
      const { answer } = await ask("POST", cbr("/checkpoints"), { checkpoint: { vault_id: vault.id, parameters } });
      const skipped = answer.checkpoint.vault.skipped_resources.map((one) => `${one.name || one.id}: ${one.reason}`);
      return [`Checkpoint ${answer.checkpoint.extra_info.name} has begun.`, ...skipped].join(" ");
    });
}

function restore(backup, volumes) {
  const about = backup.name || backup.id;
  const target = make("select", {}, make("option", { value: "", textContent: "a new volume" }));
  for (const item of volumes) {
    if (item.status === "available" && item.size >= backup.size_gib) {
      const own = item.id === backup.volume.id ? " (the original)" : "";
      target.append(make("option", { value: item.id, textContent: `${item.name || item.id}, ${item.size} GiB${own}` }));
    }
  }
  const warn = () => {
    const chosen = target.selectedOptions[0].textContent;
    $("ask-text").textContent = target.value ? `Everything on ${chosen} will be overwritten. This cannot be undone.`
      : "A volume is made for it; nothing is overwritten.";
    $("ask-yes").textContent = target.value ? "Overwrite and restore" : "Restore";
    $("ask-yes").className = target.value ? "danger" : "";
  };
  target.onchange = warn;
  askFirst(`Restore ${about}`, "", "Restore", false, [field("To", target)], async () => {
    const to = target.value ? { volume_id: target.value } : {};
    await ask("POST", volume(`/backups/${backup.id}/restore`), { restore: to });
    return `The restore of ${about} has begun.`;
  });
  warn();
}

function remove(backup) {
  const about = backup.name || backup.id;
  askFirst(`Delete ${about}?`, "The backup is gone for good. Other backups of the same volume stay as they are.", "Delete", true, [], async () => {
    await ask("DELETE", volume(`/backups/${backup.id}`));
    return `${about} is being deleted.`;
  });
}

function cancel(task) {
  const kind = task.kind.replaceAll("_", " ");
  const text = task.kind === "restore" ? "The volume it writes to will hold only part of the data." : "What it has not finished is lost.";
  askFirst(`Cancel this ${kind}?`, text, `Cancel the ${kind}`, true, [], async () => {
    await ask("POST", `/api/v1/tasks/${task.id}/cancel`);
    return `The ${kind} is being cancelled.`;
  });
}

// ---- beginning ----

$("sign-in").onsubmit = signIn;
$("sign-out").onclick = () => signOut(null);
$("ask-no").onclick = () => $("ask").close();
document.addEventListener("visibilitychange", () => { if (session && !document.hidden) poll(); });

try {
  session = JSON.parse(sessionStorage.getItem(STORE));
} catch {
  session = null;
}
if (session) begin(); else show(false);
