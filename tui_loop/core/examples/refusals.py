"""Whether an output or a reference refuses to answer."""

from __future__ import annotations

import re
from functools import lru_cache

_OPENING = r"(?:(?:oh|hello|hi|well|unfortunately|regrettably)\b[,.! ]*)?"
_HELP = (
    r"(?:help|assist|provide|answer|comply|fulfil|create|generate|give|discuss|engage|offer|access"
    r"|respond|continue|support|write|share|complete|determine|classify|do (?:that|this|so)|with"
    r"|be able|directly|$)"
)
_DECLINES = (
    r"(?:i|we)(?: am|'m| are|'re)? (?:(?:really|very|so|just|also) )?"
    rf"(?:(?:can(?:no|')t|can not|won't|will not|could(?:n't| not)) {_HELP}"
    rf"|can(?:no|')t$|unable to|not able to|not (?:allowed|permitted|programmed) to"
    r"|(?:do not|don't) have (?:access|the ability|enough|personal|real-time|any information)"
    r"|(?:must|have to|need to) (?:\w+ly )?(?:decline|refuse)|(?:decline|refuse) to)"
)
_MACHINE = (
    r"as an? (?:[\w-]+ ){0,3}(?:ai|language model|llm|chatbot|bot|assistant)\b|i am just an? ai\b"
)
_SORRY = (
    r"(?:(?:i|we)(?: am|'m| are|'re) )?(?:(?:really|very|so|truly|deeply) )?"
    r"(?:sorry|afraid)|(?:i|we) apologi[sz]e|(?:my |our )?apologies"
)
_UNABLE = rf"(?:\bcan(?:no|')t\b|\bunable\b|\bnot able\b|{_MACHINE})"
_SORRY_BUT = (
    # "Sorry for the wait, but here it is" is an apology alone.
    rf"(?:{_SORRY})\b(?:[^.!?\n]{{0,80}}?{_UNABLE}"
    r"|(?! (?:for|about|to hear|to learn|that you)\b)[^.!?\n]{0,80}?\bbut\b)"
)
_OTHERS = (
    # German, French, Spanish, Portuguese, Italian, Dutch
    r"(?:es )?tut mir leid, (?:aber|ich kann)|leider (?:kann|darf) ich\b[^.!?]{0,60}nicht"
    r"|ich kann (?:ihnen|dir|dabei|darauf)\b[^.!?]{0,40}nicht|als (?:ki|sprachmodell)\b"
    r"|(?:je suis )?désolé\w*,? (?:mais|je ne)"
    r"|je ne peux pas (?:vous |t')?(?:aider|répondre|fournir)"
    r"|en tant qu(?:'|e )(?:ia|intelligence|modèle|assistant)"
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
    rf"{_OPENING}(?:{_DECLINES}|{_MACHINE}|{_SORRY_BUT}|{_OTHERS})", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n|^no,\s+|(?<=[。！？])")
_SENTENCES = 4
_NAMES = re.compile(
    r"\W*(?:refus(?:al|ed?)|declin(?:e|es)|unanswerable|not answerable|abstain(?:s|ed)?|n/?a"
    r"|no answer(?: possible)?|cannot (?:be answered|answer)|out of scope|i (?:do not|don't) know"
    r"|(?:not enough|insufficient) information)\W*"
)
_POLITE = re.compile(
    r"(?:das|dies) (?:geht|ist) leider nicht|da(?:bei)? kann ich\b[^.!?]{0,40}nicht"
    r"|i(?:'d| would) rather not\b|that(?:'s| is) (?:not something i|something i can(?:no|')t)\b"
)


def refusal_in(output: str) -> str | None:
    """Returns the words of refusal at the start of a normalised output, or None."""
    found = _REFUSAL.match(output.replace("’", "'").lstrip("\"'*> "))
    return found.group() if found else None


@lru_cache(maxsize=1024)
def refuses(reference: str) -> bool:
    """Returns whether a normalised reference is a refusal, or a word for one.

    Any of its first sentences may refuse: a reference is often more polite than an output.
    """
    text = reference.replace("’", "'")
    if _NAMES.fullmatch(text):
        return True
    sentences = [each for each in _SENTENCE.split(text) if each][:_SENTENCES]
    return any(refusal_in(each) or _POLITE.match(each) for each in sentences)
