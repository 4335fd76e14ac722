// The page is complete without this; with it, the server's newest rendering replaces the old one.
const live = document.getElementById("live");
const lamp = document.getElementById("lamp");
const source = new EventSource("/live");
let newest = Number(live.querySelector("tbody[data-newest]")?.dataset.newest ?? -1);
source.onmessage = ({ data }) => {
  const { activeElement } = document;
  const held = live.contains(activeElement) ? activeElement.getAttribute("href") : null;
  live.innerHTML = data;
  // Who goes by keyboard stays where they are, or at the last event where theirs has gone.
  const links = [...live.querySelectorAll("a")];
  if (held !== null) (links.find((link) => link.getAttribute("href") === held) ?? links.at(-1))?.focus();
  for (const row of live.querySelectorAll("tr[data-position]")) {
    if (Number(row.dataset.position) > newest) row.classList.add("fresh");
  }
  newest = Number(live.querySelector("tbody[data-newest]")?.dataset.newest ?? newest);
};
source.onopen = () => lamp.textContent = "live";
source.onerror = () => {
  lamp.textContent = "connection lost, trying again";
  // Refused for good, as when the session has ended: the page itself knows where to go then.
  if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000);
};
