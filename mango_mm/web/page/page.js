'use strict';
const $ = (id) => document.getElementById(id);
let example = 0;
let asked = 0;

function make(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function picture(title, uri) {
  const figure = make('figure');
  const image = make('img');
  image.src = uri;
  image.alt = title;
  figure.append(make('figcaption', title), image);
  return figure;
}

function fill(id, pictures, caption) {
  const nodes = Object.entries(pictures).map(([title, uri]) => picture(title, uri));
  if (caption) nodes.unshift(make('p', caption));
  $(id).replaceChildren(...nodes);
}

function drawTrust(said) {
  const nodes = [make('p', said.alarm ? 'Alarm: a sensor is not what it was' : 'No alarm',
    said.alarm ? 'alarm' : 'calm')];
  for (const [name, value] of Object.entries(said.trust)) {
    const row = make('div', undefined, 'bar');
    const meter = make('meter');
    meter.min = 0; meter.max = 1; meter.low = 0.3; meter.high = 0.7; meter.optimum = 1;
    meter.value = value;
    meter.setAttribute('aria-label', `trust in ${name}`);
    row.append(make('span', name), meter, make('span', value.toFixed(2)));
    row.dataset.modality = name;
    row.dataset.trust = value;
    nodes.push(row);
  }
  $('trust').replaceChildren(...nodes);
}

function caption(said) {
  const parts = [];
  if (said.accuracy !== undefined) parts.push(`${(100 * said.accuracy).toFixed(1)} % of pixels right`);
  if (said.nll_per_dim !== null) parts.push(`ln p ${(-said.nll_per_dim).toFixed(2)} nats per dimension`);
  const shares = Object.entries(said.contributions).map(([m, v]) => `${m} ${v.toFixed(1)}`);
  parts.push(`contributions to the score through the fusion: ${shares.join(', ')}`);
  return parts.join(', ');
}

function say(text, wrong) {
  $('status').textContent = text;
  $('status').className = wrong ? 'error' : '';
}

async function ask() {
  const mine = ++asked;
  const body = new FormData();
  body.set('kind', $('kind').value);
  body.set('severity', $('severity').value);
  const [rgb, depth] = [$('rgb').files[0], $('depth').files[0]];
  if (rgb || depth) {
    if (!rgb || !depth) return say('Choose both pictures, RGB and depth.', true);
    body.set('rgb', rgb);
    body.set('depth', depth);
    body.set('per_metre', $('per_metre').value);
  } else {
    body.set('example', example);
  }
  say('Predicting.');
  let response, answer;
  try {
    response = await fetch('predict', {method: 'POST', body});
    answer = await response.json();
  } catch {
    return mine === asked && say('No answer: too large an upload, or the server has ended.', true);
  }
  if (mine !== asked) return;
  if (!response.ok) {
    $('answer').hidden = true;
    return say(answer.error, true);
  }
  const [mango, concat] = [answer.models['MANGO with trust'], answer.models.concatenation];
  fill('seen', answer.seen);
  fill('mango', mango.pictures, caption(mango));
  fill('concat', concat.pictures, caption(concat));
  drawTrust(mango);
  $('answer').hidden = false;
  say('Done.');
}

function choose(index) {
  example = index;
  [...$('examples').children].forEach((b, i) => b.setAttribute('aria-checked', i === index));
  $('rgb').value = $('depth').value = '';
  ask();
}

async function start() {
  const choices = await (await fetch('choices')).json();
  $('examples').append(...choices.examples.map((uri, i) => {
    const button = make('button');
    button.type = 'button';
    button.setAttribute('role', 'radio');
    button.setAttribute('aria-label', `room ${i + 1}`);
    const image = make('img');
    image.src = uri;
    image.alt = '';
    button.append(image);
    button.addEventListener('click', () => choose(i));
    return button;
  }));
  for (const kind of choices.kinds) {
    const option = make('option', kind.replaceAll('_', ' '));
    option.value = kind;
    $('kind').append(option);
  }
  for (const id of ['kind', 'severity', 'rgb', 'depth', 'per_metre']) $(id).addEventListener('change', ask);
  $('severity').addEventListener('input', () => { $('level').textContent = $('severity').value; });
  $('clear').addEventListener('click', () => choose(example));
  $('form').addEventListener('submit', (event) => event.preventDefault());
  choose(0);
}

start();
