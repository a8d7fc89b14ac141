/* Aparelho virtual: the end of the talk stays in sight, an answer's field is empty once it went, and what to do with what was copied. */
{
  const thread = document.getElementById("thread");
  const end = () => { thread.scrollTop = thread.scrollHeight; };
  end();
  document.fonts.ready.then(end);
  document.body.addEventListener("htmx:oobAfterSwap", e => { if (e.detail.target === thread) end(); });
  document.getElementById("answer").addEventListener("htmx:afterRequest", e => {
    if (e.detail.successful && !e.detail.xhr.getResponseHeader("HX-Trigger")) e.target.reset();
  });
  addEventListener("copied", e => { if (e.target.dataset.copy === "#curl") document.getElementById("copied").hidden = false; });
}
