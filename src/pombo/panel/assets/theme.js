/* Before anything is drawn: who leaves the theme to the system gets the system's, also when that changes. */
{
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { if (root.dataset.theme === "system") root.dataset.bsTheme = dark.matches ? "dark" : "light"; };
  dark.addEventListener("change", follow);
  follow();
}
