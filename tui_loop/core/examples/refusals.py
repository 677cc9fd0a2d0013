"""How models begin when they decline to answer."""

from __future__ import annotations

import re

_OPENING = r"(?:(?:oh|hello|hi|well|unfortunately|regrettably)\b[,.! ]*)?"
_HELP = (
    r"(?:help|assist|provide|answer|comply|fulfil|create|generate|give|discuss|engage|offer|access"
    r"|respond|continue|support|write|share|complete|determine|classify|do (?:that|this|so)|with"
    r"|be able|directly|$)"
)
_DECLINES = (
    r"(?:i|we)(?: am|'m|’m| are|'re|’re)? (?:(?:really|very|so|just|also) )?"
    rf"(?:(?:can(?:no|')t|can’t|can not|won't|won’t|will not|could(?:n't| not)) {_HELP}"
    rf"|(?:can(?:no|')t|can’t)$|unable to|not able to|not (?:allowed|permitted|programmed) to"
    r"|(?:do not|don't|don’t) have (?:access|the ability|enough|personal|real-time|any information)"
    r"|must decline|have to decline)"
)
_MACHINE = (
    r"as an? (?:[\w-]+ ){0,3}(?:ai|language model|llm|chatbot|bot|assistant)\b|i am just an? ai\b"
)
_SORRY = (
    r"(?:(?:i|we)(?: am|'m|’m| are|'re|’re) )?(?:(?:really|very|so|truly|deeply) )?"
    r"(?:sorry|afraid)|(?:i|we) apologi[sz]e|(?:my |our )?apologies"
)
_BUT = (
    r"[^.!?\n]{0,80}?(?:\bbut\b|\bcan(?:no|')t\b|\bcan’t\b|\bunable\b|\bnot able\b"
    rf"|{_MACHINE})"
)
_OTHERS = (
    # German, French, Spanish, Portuguese, Italian, Dutch
    r"(?:es )?tut mir leid, (?:aber|ich kann)|leider (?:kann|darf) ich\b[^.!?]{0,60}nicht"
    r"|ich kann (?:ihnen|dir|dabei|darauf)\b[^.!?]{0,40}nicht|als (?:ki|sprachmodell)\b"
    r"|(?:je suis )?désolé\w*,? (?:mais|je ne)"
    r"|je ne peux pas (?:vous |t')?(?:aider|répondre|fournir)"
    r"|en tant qu(?:'|’|e )(?:ia|intelligence|modèle|assistant)"
    r"|lo siento, (?:pero|no)|no puedo (?:ayudar|responder|proporcionar)"
    r"|como (?:una? )?(?:ia|inteligencia artificial|modelo de (?:lenguaje|linguagem))\b"
    r"|(?:desculpe|sinto muito), (?:mas|não)|não posso (?:ajudar|responder|fornecer)"
    r"|mi dispiace, (?:ma|non)|non posso (?:aiut|rispond|fornir)"
    r"|het spijt me, maar|ik kan (?:je|u) (?:daar|hier)?\w* ?niet"
    # Russian
    r"|(?:извините|простите|к сожалению),? (?:но|я не)|я не могу (?:помочь|ответить)"
    r"|как (?:ии|языковая модель)"
    # Chinese, Japanese, Korean
    r"|(?:很|非常)?(?:抱歉|对不起|對不起|遗憾)|作为(?:一个|一名)?(?:ai|人工智能|语言模型)"
    r"|我(?:无法|不能)(?:提供|回答|帮助|协助)"
    r"|申し訳(?:ありません|ございません|ない)|すみませんが|お答えできません"
    r"|죄송합니다|죄송하지만"
)
_REFUSAL = re.compile(
    rf"{_OPENING}(?:{_DECLINES}|{_MACHINE}|(?:{_SORRY})\b{_BUT}|{_OTHERS})", re.IGNORECASE
)


def refusal_in(said: str) -> str | None:
    """The words with which a normalised output begins to decline, or None."""
    found = _REFUSAL.match(said.lstrip("\"'*> "))
    return found.group() if found else None
