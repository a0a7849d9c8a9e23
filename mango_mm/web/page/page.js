'use strict';
const $ = (id) => document.getElementById(id);
const FILES = {rooms: ['rgb', 'depth'], movies: ['poster']};
const FIELDS = {rooms: ['per_metre'], movies: ['plot']};
const UNITS = {rooms: 'pixels', movies: 'genres'};
let choices = {};
let task = 'rooms';
let example = 0;
let asked = 0;

function make(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function figure(title, inner) {
  const node = make('figure');
  node.append(make('figcaption', title), inner);
  return node;
}

function pictures(byTitle) {
  return Object.entries(byTitle).map(([title, uri]) => {
    const image = make('img');
    image.src = uri;
    image.alt = title;
    return figure(title, image);
  });
}

function bar(name, value, className) {
  const row = make('div', undefined, className || 'bar');
  const meter = make('meter');
  meter.min = 0; meter.max = 1; meter.value = value;
  meter.setAttribute('aria-label', name);
  row.append(make('span', name), meter, make('span', value.toFixed(2)));
  return row;
}

function drawTrust(said) {
  const nodes = [make('p', said.alarm ? 'Alarm: a sensor is not what it was' : 'No alarm',
    said.alarm ? 'alarm' : 'calm')];
  for (const [name, value] of Object.entries(said.trust)) {
    const row = bar(name, value);
    const meter = row.querySelector('meter');
    meter.low = 0.3; meter.high = 0.7; meter.optimum = 1;
    meter.setAttribute('aria-label', `trust in ${name}`);
    row.dataset.modality = name;
    row.dataset.trust = value;
    nodes.push(row);
  }
  $('trust').replaceChildren(...nodes);
}

function caption(said) {
  const parts = [];
  if (said.accuracy !== undefined) parts.push(`${(100 * said.accuracy).toFixed(1)} % of ${UNITS[task]} right`);
  if (said.nll_per_dim !== null) parts.push(`ln p ${(-said.nll_per_dim).toFixed(2)} nats per dimension`);
  const shares = Object.entries(said.contributions).map(([m, v]) => `${m} ${v.toFixed(1)}`);
  parts.push(`contributions to the score through the fusion: ${shares.join(', ')}`);
  return parts.join(', ');
}

// Every genre's probability, the said ones in bold; words by what they do for the likeliest.
function drawGenres(said) {
  const rows = Object.entries(said.scores).map(([genre, p]) => {
    const row = bar(genre, p, said.genres.includes(genre) ? 'bar said' : 'bar');
    row.dataset.genre = genre;
    return row;
  });
  const largest = Math.max(1e-9, ...said.words.map(([, v]) => Math.abs(v)));
  const words = make('p', undefined, 'words');
  for (const [word, v] of said.words) {
    const level = Math.round(3 * Math.abs(v) / largest);
    words.append(make('span', word, level ? `${v > 0 ? 'for' : 'against'}${level}` : ''), ' ');
  }
  const likeliest = Object.entries(said.scores).reduce((a, b) => (b[1] > a[1] ? b : a))[0];
  const title = said.words.length ? `Words for (orange) and against (blue) ${likeliest}` : 'No plot';
  return [...rows, make('p', title, 'note'), words];
}

function fill(id, said) {
  const drawn = said.pictures ? pictures(said.pictures) : drawGenres(said);
  $(id).replaceChildren(make('p', caption(said)), ...drawn);
}

function say(text, wrong) {
  $('status').textContent = text;
  $('status').className = wrong ? 'error' : '';
}

function form() {
  const body = new FormData();
  body.set('task', task);
  body.set('kind', $('kind').value);
  body.set('severity', $('severity').value);
  body.set('example', example);
  for (const name of FILES[task]) if ($(name).files[0]) body.set(name, $(name).files[0]);
  for (const name of FIELDS[task]) body.set(name, $(name).value);
  return body;
}

async function ask() {
  const mine = ++asked;
  const body = form();
  if (body.has('rgb') !== body.has('depth')) return say('Choose both pictures, RGB and depth.', true);
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
  const texts = Object.entries(answer.seen.texts || {}).map(([title, text]) => figure(title, make('p', text)));
  $('seen').replaceChildren(...pictures(answer.seen.pictures), ...texts);
  fill('mango', mango);
  fill('concat', concat);
  drawTrust(mango);
  $('answer').hidden = false;
  say('Done.');
}

function choose(index) {
  example = index;
  [...$('examples').children].forEach((b, i) => b.setAttribute('aria-checked', i === index));
  for (const id of Object.values(FILES).flat()) $(id).value = '';
  $('plot').value = '';
  ask();
}

function turnTo(name) {
  task = name;
  for (const b of $('tasks').children) b.setAttribute('aria-checked', b.dataset.task === name);
  for (const node of document.querySelectorAll('[data-of]')) node.hidden = node.dataset.of !== name;
  $('examples').replaceChildren(...choices[name].examples.map((uri, i) => {
    const button = make('button');
    button.type = 'button';
    button.setAttribute('role', 'radio');
    button.setAttribute('aria-label', `${name.slice(0, -1)} ${i + 1}`);
    const image = make('img');
    image.src = uri;
    image.alt = '';
    button.append(image);
    button.addEventListener('click', () => choose(i));
    return button;
  }));
  $('kind').replaceChildren(...['', ...choices[name].kinds].map((kind) => {
    const option = make('option', kind.replaceAll('_', ' ') || 'nothing');
    option.value = kind;
    return option;
  }));
  choose(0);
}

async function start() {
  choices = await (await fetch('choices')).json();
  const inputs = ['kind', 'severity', ...Object.values(FILES).flat(), ...Object.values(FIELDS).flat()];
  for (const id of inputs) $(id).addEventListener('change', ask);
  $('severity').addEventListener('input', () => { $('level').textContent = $('severity').value; });
  for (const b of document.querySelectorAll('.clear')) b.addEventListener('click', () => choose(example));
  for (const b of $('tasks').children) b.addEventListener('click', () => turnTo(b.dataset.task));
  $('form').addEventListener('submit', (event) => event.preventDefault());
  turnTo('rooms');
}

start();
