// One question to several models at once; each column is a chat of its own.
const at = (id) => document.getElementById(id);
const columns = new Map(); // model -> {messages, list, note, section}
let running = null;

const headers = () => ({
  "Content-Type": "application/json",
  ...(at("key").value && { Authorization: `Bearer ${at("key").value}` }),
});

function problem(text) {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}

async function answered(response) {
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new Error(body?.error?.message ?? `The server answered ${response.status}.`);
}

async function loadModels() {
  try {
    const response = await answered(await fetch("v1/models", { headers: headers() }));
    const models = (await response.json()).data;
    problem("");
    const chosen = new Set(columns.keys());
    at("models").querySelectorAll("label").forEach((label) => label.remove());
    for (const [index, model] of models.entries()) {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", value: model.id });
      box.checked = chosen.size ? chosen.has(model.id) : index < 2;
      box.addEventListener("change", showColumns);
      label.append(box, ` ${model.id}`);
      label.title = model.root;
      at("models").append(label);
    }
    showColumns();
  } catch (error) {
    problem(`${error.message} An API key can be given in the settings.`);
  }
}

function showColumns() {
  const wanted = [...at("models").querySelectorAll("input:checked")].map((box) => box.value);
  for (const [model, column] of columns) {
    if (!wanted.includes(model)) { column.section.remove(); columns.delete(model); }
  }
  for (const model of wanted) {
    if (!columns.has(model)) columns.set(model, column(model));
    at("columns").append(columns.get(model).section);
  }
}

function column(model) {
  const section = document.createElement("section");
  section.dataset.model = model;
  const title = document.createElement("h2");
  const note = document.createElement("small");
  title.append(model, note);
  const list = document.createElement("ol");
  section.append(title, list);
  return { messages: [], list, note, section };
}

function say(column, role, text) {
  const item = document.createElement("li");
  item.className = role;
  item.textContent = text;
  column.list.append(item);
  item.scrollIntoView({ block: "end" });
  return item;
}

async function ask(model, column, question, signal) {
  column.messages.push({ role: "user", content: question });
  say(column, "user", question);
  const item = say(column, "assistant", "");
  const began = performance.now();
  let text = "", usage = null, first = null;
  const show = onceAFrame(() => {
    item.textContent = text;
    item.scrollIntoView({ block: "end" });
  });
  try {
    const system = at("system").value.trim();
    const response = await answered(await fetch("v1/chat/completions", {
      method: "POST", signal, headers: headers(),
      body: JSON.stringify({
        model, stream: true, stream_options: { include_usage: true },
        messages: [...(system ? [{ role: "system", content: system }] : []), ...column.messages],
        temperature: Number(at("temperature").value), max_completion_tokens: Number(at("tokens").value),
      }),
    }));
    for await (const event of events(response.body)) {
      if (event.error) throw new Error(event.error.message);
      usage = event.usage ?? usage;
      const piece = event.choices?.[0]?.delta?.content;
      if (!piece) continue;
      first ??= performance.now() - began;
      text += piece;
      show();
    }
    show.now();
    column.messages.push({ role: "assistant", content: text });
  } catch (error) {
    if (error.name === "AbortError") {
      show.now();
      column.messages.push({ role: "assistant", content: text });
    } else {
      column.messages.pop(); // it was not answered: the next question does not follow it
      item.classList.add("failed");
      item.textContent = error.message;
    }
  }
  if (usage) {
    const seconds = (performance.now() - began) / 1000;
    const speed = (usage.completion_tokens / seconds).toFixed(1);
    column.note.textContent = `${usage.completion_tokens} tokens, ${speed} a second, first after ${Math.round(first ?? 0)} ms`;
  }
}

// However fast text comes, it is drawn no more often than anybody sees.
function onceAFrame(draw) {
  let due = null;
  const now = () => { cancelAnimationFrame(due); due = null; draw(); };
  return Object.assign(() => { due ??= requestAnimationFrame(now); }, { now });
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = (rest + read.value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: {")) yield JSON.parse(line.slice(6));
    }
  }
}

at("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const question = at("question").value.trim();
  if (!question || running || !columns.size) return;
  running = new AbortController();
  at("question").value = "";
  at("send").hidden = true;
  at("stop").hidden = false;
  await Promise.all([...columns].map(([model, column]) => ask(model, column, question, running.signal)));
  running = null;
  at("send").hidden = false;
  at("stop").hidden = true;
});
at("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); at("ask").requestSubmit(); }
});
at("stop").addEventListener("click", () => running?.abort());
at("clear").addEventListener("click", () => {
  running?.abort();
  for (const column of columns.values()) { column.messages = []; column.list.replaceChildren(); column.note.textContent = ""; }
});
at("key").addEventListener("change", loadModels);
loadModels();
