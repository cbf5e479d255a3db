// What a script adds to pages that work without one: a chat that stays where
// it is, and a training that is looked at again. A module, so that browsers that
// are too old for it pass it over.

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

// The texts of an answer that comes as server-sent events.
async function* pieces(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      if (line === "data: [DONE]") return;
      const event = JSON.parse(line.slice(6));
      if (event.error) throw new Error(event.error.code);
      yield event.choices[0] || {};
    }
  }
}

function chat(room) {
  const list = room.querySelector("ol");
  const form = room.querySelector("form");
  const box = form.elements.message;
  const send = form.querySelector("button");
  const words = room.dataset;
  const stop = element("button", "quiet", words.stop);
  const note = element("p", "notice");
  note.setAttribute("role", "status");
  stop.type = "button";
  stop.hidden = true;
  send.after(stop);
  form.before(note);
  const turns = () =>
    [...form.querySelectorAll("input[name=user], input[name=assistant]")].map((input) => ({
      role: input.name,
      content: input.value,
    }));

  function show(role, text) {
    const item = element("li", role);
    item.append(element("p", "who", role === "user" ? words.you : words.them));
    const place = element("div", "plain", text);
    place.dir = "auto";
    item.append(place);
    list.append(item);
    item.scrollIntoView({ block: "nearest" });
    return place;
  }

  // The form keeps what was said, so that it can go on without this script.
  function keep(role, text) {
    const input = element("input");
    input.type = "hidden";
    input.name = role;
    input.value = text;
    form.querySelector("label").before(input);
    return input;
  }

  async function answer(message) {
    const asked = { model: words.model, messages: [...turns(), { role: "user", content: message }], stream: true };
    const leave = new AbortController();
    stop.onclick = () => leave.abort();
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": words.csrf },
      body: JSON.stringify(asked),
      signal: leave.signal,
    });
    // The form says in the reader's language what is wrong, and what to do.
    if (!response.ok) return form.submit();
    box.value = "";
    keep("user", message);
    show("user", message);
    const place = show("assistant", "");
    const kept = keep("assistant", "");
    list.setAttribute("aria-busy", "true");
    try {
      for await (const choice of pieces(response.body)) {
        const text = choice.delta?.content || "";
        place.append(place.textContent ? text : text.trimStart());
        if (choice.finish_reason === "length") note.textContent = words.cut;
      }
    } catch (error) {
      if (error.name !== "AbortError") note.textContent = words.failed;
    }
    kept.value = place.textContent;
    list.removeAttribute("aria-busy");
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const message = box.value.trim();
    if (!message || send.disabled) return;
    note.textContent = "";
    send.disabled = true;
    stop.hidden = false;
    try {
      await answer(message);
    } catch (error) {
      if (error.name !== "AbortError") note.textContent = words.failed;
    }
    send.disabled = false;
    stop.hidden = true;
    box.focus();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
}

// A training is looked at again while it goes on and somebody sees it.
function watch(room) {
  const seconds = Number(room.dataset.live);
  if (!seconds) return;
  setTimeout(async () => {
    const open = [...room.querySelectorAll("details")].map((details) => details.open);
    try {
      const busy = document.hidden || room.contains(document.activeElement);
      if (busy) return;
      const text = await (await fetch(location.href)).text();
      const next = new DOMParser().parseFromString(text, "text/html").querySelector("[data-live]");
      if (!next) return;
      room.replaceChildren(...next.childNodes);
      room.dataset.live = next.dataset.live;
      room.querySelectorAll("details").forEach((details, at) => (details.open = open[at]));
    } catch {
      // The server may be back the next time.
    } finally {
      watch(room);
    }
  }, 1000 * seconds);
}

const room = document.getElementById("chat");
if (room) chat(room);
const live = document.querySelector("[data-live]");
if (live) watch(live);
