"use strict";
// What the other parts share. Text reaches the page through textContent and attributes alone, never as markup.
const SVG = "http://www.w3.org/2000/svg";

function byId(id) { return document.getElementById(id); }

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A whole number with commas; toLocaleString takes as long as all the rest of a page of rows. */
function grouped(number) { return String(number).replace(/\B(?=(\d{3})+$)/g, ","); }

function count(number, noun) { return grouped(number) + " " + noun + (number === 1 ? "" : "s"); }

/** A length of time in µs, in the unit that fits. */
function lasting(us) {
  const size = Math.abs(us);
  if (size < 1e3) return us + " µs";
  if (size < 1e6) return (us / 1e3).toFixed(size < 1e5 ? 3 : 1) + " ms";
  return (us / 1e6).toFixed(size < 1e8 ? 3 : 1) + " s";
}

/** Open whatever a link leads to that is folded. */
function unfold() {
  const target = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  let told = target;  // the empty anchor of a finding that another one stands for: what follows it
  while (told && told.tagName === "SPAN") told = told.nextElementSibling;
  if (told && told.tagName === "DETAILS") told.open = true;
  target.scrollIntoView();
}
