/** Copying to the clipboard, which a browser allows only to pages that came over TLS or from this machine. */

/**
 * Copies `text`; where that is forbidden, selects it in `shown` for the person to copy. `button` says for two seconds
 * which it was.
 */
export async function copyText(text, shown, button) {
  const before = button.textContent;
  let isCopied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(shown);
    isCopied = document.execCommand('copy');
  }
  button.textContent = isCopied ? 'Copied' : 'Selected: copy it now';
  setTimeout(() => (button.textContent = before), 2000);
}
