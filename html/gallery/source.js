/**
 * Shows the script of a page beside it: the file that the page runs, fetched again. `<code data-source="chat.js">` names it. Words are
 * coloured by their kind; the text stays what the file has.
 */
/** Comments, strings, keywords and numbers of JavaScript, as far as the demos have them. */
const TOKEN =
  /(?<comment>\/\/.*)|(?<string>"[^"\n]*"|`[^`]*`)|(?<keyword>\b(?:async|await|const|else|export|for|from|function|if|import|let|new|of|return)\b)|(?<number>\b\d[\d_]*\b)/g;

/** The nodes of a text: words of a kind in a <span class="kind">. @param {string} text */
function nodesOf(text) {
  const nodes = [];
  let end = 0;
  for (const { 0: word, index, groups } of text.matchAll(TOKEN)) {
    const span = document.createElement("span");
    span.className = Object.keys(groups).find(
      (kind) => groups[kind] !== undefined,
    );
    span.textContent = word;
    nodes.push(text.slice(end, index), span);
    end = index + word.length;
  }
  return [...nodes, text.slice(end)];
}

async function show(code) {
  const response = await fetch(code.dataset.source).catch(() => undefined);
  if (!response?.ok)
    code.textContent = `${code.dataset.source} could not be loaded.`;
  else code.replaceChildren(...nodesOf(await response.text()));
}

for (const code of document.querySelectorAll("code[data-source]"))
  void show(code);
