// The page: it shows what the worker, which holds the model, tells it.
const element = (id) => document.getElementById(id);
const worker = new Worker(new URL('./model-worker.js', import.meta.url), { type: 'module' });

const ready = (isReady) => {
  element('generate').disabled = !isReady;
  element('stop').disabled = isReady;
};

const shows = {
  progress({ done, total }) {
    element('status').textContent = `Loading, ${Math.round((100 * done) / total)} %`;
  },
  opened({ name, megabytes, threads, chats }) {
    element('status').textContent = `${name}: ${megabytes} MB of weights, ${threads} threads.`;
    element('chat').disabled = !chats;
    element('chat').checked = chats;
    ready(true);
  },
  piece({ text }) {
    element('answer').textContent += text;
  },
  done({ finishReason, usage }) {
    const { completionTokens, decodeSeconds } = usage;
    const speed =
      completionTokens > 1 ? `, ${((completionTokens - 1) / decodeSeconds).toFixed(1)} a second` : '';
    element('status').textContent = `${completionTokens} tokens until ${finishReason}${speed}.`;
    ready(true);
  },
  failed({ message }) {
    element('status').textContent = message;
    ready(!element('stop').disabled);
  },
};
worker.onmessage = ({ data }) => shows[data.type](data);

const open = (source) => {
  element('generate').disabled = true;
  element('status').textContent = 'Opening.';
  worker.postMessage({ type: 'open', ...source });
};
element('files').onchange = ({ target }) => open({ files: [...target.files] });
element('address').onsubmit = (event) => {
  event.preventDefault();
  open({ url: element('url').value });
};
element('prompt').onsubmit = (event) => {
  event.preventDefault();
  element('answer').textContent = '';
  ready(false);
  const maxTokens = Number(element('max-tokens').value);
  worker.postMessage({
    type: 'generate',
    prompt: element('text').value,
    chat: element('chat').checked,
    maxTokens,
  });
};
element('stop').onclick = () => worker.postMessage({ type: 'stop' });
