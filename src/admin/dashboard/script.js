// The dashboard is a client of the admin API like any other. Whatever it shows is set as text: client ids are chosen
// by devices, and the page's policy makes the browser refuse strings as HTML.

const API = '/api/v1';
const POLL_MS = 2000;
const SAMPLES = 60; // two minutes of polls
const EVENTS_SHOWN = 200;
const CLIENTS_SHOWN = 50;
const RECONNECT_MS = { first: 1000, most: 15_000 };

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en');

// ── API ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Sends a request with the token; asks for the token as often as it is refused. Other failures throw. */
async function request(method, path, body, signal) {
  for (;;) {
    const token = sessionStorage.getItem('breakwater-token');
    const headers = {};
    if (token !== null) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(API + path, { method, headers, body: body && JSON.stringify(body), signal });
    if (response.ok) return response;
    const failure = await response.json().catch(() => ({ message: `HTTP ${response.status}` }));
    if (response.status !== 401) throw new Error(failure.message);
    // While this request was under way, another one may have asked already.
    if (sessionStorage.getItem('breakwater-token') === token)
      await askToken(token === null ? '' : failure.message);
  }
}

const get = async (path) => (await request('GET', path)).json();

let asking;
function askToken(fault) {
  asking ??= new Promise((resolve) => {
    const dialog = byId('ask-token');
    const form = dialog.querySelector('form');
    byId('token-fault').textContent = fault;
    byId('token-fault').hidden = fault === '';
    dialog.oncancel = (event) => event.preventDefault();
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem('breakwater-token', form.elements.token.value);
      form.reset();
      dialog.close();
      asking = undefined;
      resolve();
    };
    dialog.showModal();
  });
  return asking;
}

// ── Page ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A copy of a template's row. */
function newRow(template) {
  return byId(template).content.firstElementChild.cloneNode(true);
}

function fill(row, texts) {
  for (const place of row.querySelectorAll('[data-text]')) setText(place, texts[place.dataset.text]);
}

function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

/** Keeps one row for each item, in the items' order, so that focus and selection survive a refresh. */
function syncRows(body, items, keyOf, create, update) {
  const rows = new Map([...body.children].map((row) => [row.dataset.key, row]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    const row = rows.get(key) ?? create(item);
    row.dataset.key = key;
    rows.delete(key);
    update(row, item);
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  for (const row of rows.values()) row.remove();
}

let toastTimer;
function toast(message) {
  byId('toast').textContent = message;
  byId('toast').hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    byId('toast').hidden = true;
  }, 6000);
}

/** Resolves to whether the person agreed. */
function confirmed(title, text, yes) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = title;
  byId('confirm-text').textContent = text;
  byId('confirm-yes').textContent = yes;
  dialog.showModal();
  byId('confirm-no').focus();
  return new Promise((resolve) => {
    let agreed = false;
    dialog.querySelector('form').onsubmit = (event) => {
      event.preventDefault();
      agreed = true;
      dialog.close();
    };
    byId('confirm-no').onclick = () => dialog.close();
    dialog.onclose = () => resolve(agreed);
  });
}

/** Runs an action of a button: once at a time, failures told, the tables refreshed. */
async function act(button, action) {
  button.disabled = true;
  try {
    await action();
    await refresh();
  } catch (error) {
    toast(error.message);
  } finally {
    button.disabled = false;
  }
}

// ── Status ─────────────────────────────────────────────────────────────────────────────────────────────────────

function showStatus(status) {
  const { proxy, nodes, store } = status;
  setText(byId('cluster'), `cluster ${status.cluster}`);
  setText(
    byId('proxy'),
    `proxy ${proxy.id}, ${proxy.engine} engine, ${proxy.threads} threads, ${proxy.version}`,
  );
  byId('proxy').title = proxy.listeners.join('\n');
  byId('store').hidden = store.up;
  byId('store').className = 'bad';
  setText(byId('store'), `${store.kind} store is down: membership is frozen`);
  showReady(status.ready ? 'ready' : 'not ready', status.ready ? 'good' : 'bad');
  setText(byId('connections'), number.format(status.connections));
  setText(byId('healthy'), `${nodes.healthy} of ${nodes.total}`);
  setText(byId('enabled'), `${nodes.enabled} enabled`);
  setText(byId('rejected'), number.format(status.rejectedTotal));
  setText(byId('total'), number.format(status.connectionsTotal));
  showRate(status.connectionsTotal);
}

function showReady(text, tone) {
  setText(byId('ready'), text);
  byId('ready').className = `pill dot ${tone}`;
}

let previous;
const rates = [];
function showRate(total) {
  const now = performance.now();
  // A total that shrank belongs to a proxy that was started anew.
  if (previous !== undefined && total >= previous.total) {
    const rate = ((total - previous.total) * 1000) / (now - previous.now);
    rates.push(rate);
    if (rates.length > SAMPLES) rates.shift();
    setText(byId('rate'), rate < 10 ? rate.toFixed(1) : number.format(Math.round(rate)));
  }
  previous = { total, now };
  const most = Math.max(1, ...rates);
  const points = rates.map((rate, i) => {
    const x = 100 - ((rates.length - 1 - i) * 100) / (SAMPLES - 1);
    return `${x.toFixed(2)} ${(38 - (rate / most) * 34).toFixed(2)}`;
  });
  if (points.length < 2) return;
  const start = points[0].split(' ')[0];
  document.querySelector('#spark .line').setAttribute('d', `M${points.join('L')}`);
  document.querySelector('#spark .area').setAttribute('d', `M${start} 40L${points.join('L')}L100 40Z`);
}

// ── Nodes ──────────────────────────────────────────────────────────────────────────────────────────────────────

const tones = {
  healthy: 'good',
  unhealthy: 'bad',
  unknown: 'muted',
  enabled: '',
  draining: 'warn',
  disabled: 'muted',
};

function showNodes(nodes) {
  byId('no-nodes').hidden = nodes.length > 0;
  // A node that a person disabled may well be down: that is no alarm.
  const alarm = nodes.some((node) => node.health === 'unhealthy' && node.state !== 'disabled');
  byId('healthy').classList.toggle('bad', alarm);
  const most = Math.max(1, ...nodes.map((node) => node.connections));
  const body = document.querySelector('#nodes tbody');
  syncRows(
    body,
    nodes,
    (node) => node.id,
    createNodeRow,
    (row, node) => {
      fill(row, { ...node, connections: number.format(node.connections), drain: drainText(node) });
      row.querySelector('.dot').className = `dot ${tones[node.health]}`;
      row.querySelector('.badge').className = `badge ${tones[node.state]}`;
      row.querySelector('.meter-fill').style.width = `${(node.connections / most) * 100}%`;
      const weight = row.querySelector('.weight');
      if (document.activeElement !== weight) weight.value = node.weight;
      row.querySelector('[data-do=enable]').hidden = node.state === 'enabled';
      row.querySelector('[data-do=drain]').hidden = node.state !== 'enabled';
      row.querySelector('[data-do=disable]').hidden = node.state === 'disabled';
    },
  );
}

/** How far each node that drains has come, by id; over all proxies. */
const drains = new Map();

async function refreshDrains(nodes) {
  const draining = nodes.filter((node) => node.state === 'draining').map((node) => node.id);
  for (const id of drains.keys()) if (!draining.includes(id)) drains.delete(id);
  await Promise.all(
    draining.map(async (id) => {
      // A node may be removed in between; then there is nothing to tell.
      const drain = await get(`/nodes/${encodeURIComponent(id)}/drain`).catch(() => undefined);
      if (drain !== undefined) drains.set(id, drain);
    }),
  );
}

function drainText({ id, state }) {
  const drain = drains.get(id);
  if (state !== 'draining' || drain === undefined) return '';
  if (drain.state === 'done') return 'empty';
  const ahead = drain.timeLeft === undefined ? '' : `, ${Math.ceil(drain.timeLeft)} s to go`;
  const stays = drain.stays > 0 ? `, ${number.format(drain.stays)} stay` : '';
  return `${number.format(drain.moved)} moved, ${number.format(drain.left)} left${stays}${ahead}`;
}

function createNodeRow({ id }) {
  const row = newRow('node-row');
  const path = `/nodes/${encodeURIComponent(id)}`;
  const patch = (change) => request('PATCH', path, change);
  const on = (name, action) => {
    const button = row.querySelector(`[data-do=${name}]`);
    button.onclick = () => act(button, action);
  };
  on('enable', () => patch({ state: 'enabled' }));
  on('drain', async () => {
    const text = 'It gets no new connection, and its sessions move to other nodes.';
    if (await confirmed(`Drain ${id}?`, text, 'Drain')) await request('POST', `${path}/drain`);
  });
  on('disable', async () => {
    const text = 'It gets no connection until it is enabled again.';
    if (await confirmed(`Disable ${id}?`, text, 'Disable')) await patch({ state: 'disabled' });
  });
  const weight = row.querySelector('.weight');
  weight.setAttribute('aria-label', `Weight of ${id}`);
  weight.onchange = () => act(weight, () => patch({ weight: weight.valueAsNumber }));
  return row;
}

// ── Clients ────────────────────────────────────────────────────────────────────────────────────────────────────

const protocols = { 3: '3.1', 4: '3.1.1', 5: '5.0' };

async function refreshClients() {
  const match = byId('search').value;
  const { clients, total } = await get(`/clients?limit=${CLIENTS_SHOWN}&match=${encodeURIComponent(match)}`);
  if (match !== byId('search').value) return; // a later search is under way
  const body = document.querySelector('#clients tbody');
  syncRows(
    body,
    clients,
    (client) => nameOfConnection(client),
    createClientRow,
    (row, client) => {
      const protocol = protocols[client.protocolVersion];
      fill(row, { ...client, protocol, since: ago(client.connectedAt) });
    },
  );
  const found =
    total > clients.length ? `${clients.length} of ${number.format(total)} clients` : `${total} clients`;
  setText(byId('clients-count'), total === 1 ? '1 client' : found);
}

/** Several may have one client id, or none. */
function nameOfConnection({ connection, proxy }) {
  return `#${connection}@${proxy}`;
}

function createClientRow(client) {
  const { clientId } = client;
  const row = newRow('client-row');
  row.querySelector('.clip').title = clientId;
  const button = row.querySelector('[data-do=kick]');
  button.onclick = () =>
    act(button, async () => {
      const text = 'It is disconnected. Most devices come back at once.';
      if (!(await confirmed(`Kick ${clientId || nameOfConnection(client)}?`, text, 'Kick'))) return;
      await request('DELETE', `/clients/${encodeURIComponent(nameOfConnection(client))}`);
    });
  return row;
}

function ago(timestamp) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(timestamp)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

let searching;
byId('search').oninput = () => {
  clearTimeout(searching);
  searching = setTimeout(() => refreshClients().catch((error) => toast(error.message)), 200);
};

// ── Events ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Streamed by fetch, because EventSource cannot send the token. */
async function followEvents() {
  for (let wait = RECONNECT_MS.first; ; wait = Math.min(wait * 2, RECONNECT_MS.most)) {
    try {
      const response = await request('GET', '/events');
      showLive('live', 'good');
      wait = RECONNECT_MS.first;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const frames = (rest + part.value).split('\n\n');
        rest = frames.pop();
        for (const frame of frames) takeFrame(frame);
      }
    } catch {
      // Whatever ended the stream, it is opened again; the status line tells about an unreachable proxy.
    }
    showLive('reconnecting', 'warn');
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function showLive(text, tone) {
  setText(byId('live'), text);
  byId('live').className = `live ${tone}`;
}

const waiting = [];
function takeFrame(frame) {
  const data = frame.split('\n').find((line) => line.startsWith('data: '));
  if (data === undefined) return;
  waiting.push(JSON.parse(data.slice(6)));
  if (waiting.length > EVENTS_SHOWN) waiting.shift();
  // Many events may come in one frame's time: they are drawn together.
  if (waiting.length === 1) setTimeout(drawEvents, 50);
}

const eventTones = {
  rejected: 'warn',
  'dial-failed': 'bad',
  placed: 'good',
  ended: 'muted',
  reattached: 'good',
};
/** Told about nodes, though not by name. */
const nodeEvents = ['drain-progress', 'rebalance-progress'];

function drawEvents() {
  const list = byId('events');
  for (const event of waiting.splice(0)) {
    const { type, at, ...details } = event;
    const isNode = type.startsWith('node-') || nodeEvents.includes(type);
    const { clientId, node, from, to, ...rest } = details;
    const subject = [clientId, node, from, to]
      .filter((part) => part !== undefined && part !== '')
      .join(' → ');
    const shown = Object.entries(rest).filter(([, value]) => value !== undefined && value !== '');
    const detail = shown.map(([key, value]) => `${key} ${value}`).join(' · ');
    const row = newRow('event-row');
    const time = new Date(at).toLocaleTimeString('en-GB');
    fill(row, { time, type: type.replace('-', ' '), subject, detail });
    row.dataset.group = isNode ? 'node' : 'device';
    const badNews =
      details.health === 'unhealthy' ||
      type === 'node-removed' ||
      details.state === 'blocked' ||
      details.result === 'failed';
    row.querySelector('.kind').classList.add(badNews ? 'bad' : (eventTones[type] ?? 'kind'));
    list.prepend(row);
    if (isNode) soon();
  }
  while (list.children.length > EVENTS_SHOWN) list.lastElementChild.remove();
  filterEvents();
}

function filterEvents() {
  const group = byId('filter').value;
  let shown = 0;
  for (const row of byId('events').children) {
    row.hidden = group !== '' && row.dataset.group !== group;
    if (!row.hidden) shown += 1;
  }
  byId('no-events').hidden = shown > 0;
}
byId('filter').onchange = filterEvents;

// ── Life ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function refresh() {
  const [status, nodes] = await Promise.all([get('/status'), get('/nodes'), refreshClients()]);
  await refreshDrains(nodes);
  showStatus(status);
  showNodes(nodes);
}

let sooner;
/** A node changed: its table need not wait for the next poll. */
function soon() {
  if (sooner !== undefined) return;
  sooner = setTimeout(() => {
    sooner = undefined;
    refresh().catch(() => {});
  }, 100);
}

async function poll() {
  try {
    if (!document.hidden) await refresh();
  } catch (error) {
    showReady('not reachable', 'bad');
    byId('ready').title = error.message;
  }
  setTimeout(poll, POLL_MS);
}

poll();
followEvents();
