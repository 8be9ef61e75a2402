// ipywidgets names no slider for screen readers, and offers no way to. Each gets the words that stand before it.
const box = this.closest('.dip-player');
const name = () => {
  for (const handle of box.querySelectorAll('[role=slider]:not([aria-label])')) {
    const label = handle.closest('.widget-slider')?.querySelector('label');
    if (label) handle.setAttribute('aria-label', label.innerText);
  }
};
if (!box.dataset.named) {  // a notebook takes what is scrolled away off the page, and puts it back
  box.dataset.named = 'yes';
  name();
  new MutationObserver(name).observe(box, {childList: true, subtree: true});
}
