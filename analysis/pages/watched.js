// Keeps the page of a study up to date: asks for it again, and puts what is new in the place of what was.

async function update(main, told) {
  let answer;
  try {
    answer = await fetch(location.href, { cache: "no-store", headers: { "If-None-Match": main.dataset.version || "" } });
  } catch {
    told.textContent = `no answer since ${told.dataset.at}: what is shown is of then`;
    return;
  }
  if (answer.status !== 200 && answer.status !== 304) {
    told.textContent = `${await answer.text()}; what is shown is of ${told.dataset.at}`;
    return;
  }
  told.dataset.at = new Date().toLocaleTimeString();
  told.textContent = `as of ${told.dataset.at}`;
  if (answer.status === 304) return;
  const seen = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  main.dataset.version = answer.headers.get("ETag");
  main.replaceChildren(...seen.childNodes);
  main.querySelectorAll("figure[data-chart]").forEach(start);
}

{
  const main = document.querySelector("main"), told = document.querySelector("footer");
  told.dataset.at = new Date().toLocaleTimeString();
  setInterval(() => { if (!document.hidden) update(main, told); }, 1000 * main.dataset.every);
}
