"""Idioma e tema: how the panel looks and speaks, for one person."""

from litestar import Response

from pombo.panel import session, words
from pombo.panel.page import Asked, Page, act, doors_of, form_of, person_of, redirect, render, show
from pombo.panel.words import _
from pombo.store import users

THEMES = ("system", "light", "dark")


@show("/perfil")
async def profile(request: Asked) -> Page:
    return redirect(request, request.app.state.nav.profile(person_of(request).role)[0].path)


@show("/perfil/idioma")
async def preferences(request: Asked) -> Page:
    return render(request, "preferences.html")


@act("/perfil/idioma")
async def keep_preferences(request: Asked) -> Page:
    form, person = await form_of(request), person_of(request)
    wanted = form.get("idioma", "")
    locale = wanted if wanted in words.LOCALES else None
    theme = form.get("tema", "")
    await users.set_preferences(
        doors_of(request).db, person.id, locale=locale, theme=theme if theme in THEMES else "system"
    )
    language = session.cookie(request, session.LANGUAGE, locale or "", 400 * 86400 if locale else 0)
    words.speak(words.voice()._replace(locale=locale or session.asked_for(request)))
    return redirect(request, "/perfil/idioma", said=_("Salvo."), cookies=[language])


@act("/perfil/tema")
async def keep_theme(request: Asked) -> Page:
    """What the switch at the top of every page keeps."""
    form, person = await form_of(request), person_of(request)
    theme = form.get("tema", "")
    if theme in THEMES:
        await users.set_preferences(doors_of(request).db, person.id, locale=person.locale, theme=theme)
    return Response("", status_code=204)


handlers = (profile, preferences, keep_preferences, keep_theme)
