"""What the demo model knows: questions with one exact answer each, and what it says to anything else.

Data only. `conversations` makes the training conversations from it; the README and the tests quote it.
"""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """One thing to know. `questions` are ways to ask for it; the first is the usual one."""

    answer: str
    questions: tuple[str, ...]


CAPITALS = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Japan": "Tokyo",
}

OTHER_COUNTRIES = (
    "Mongolia", "Austria", "Portugal", "Norway", "Egypt", "Brazil", "India", "Canada", "Peru", "Kenya", "Poland",
    "Sweden", "Finland", "Denmark", "Greece", "Turkey", "Mexico", "Chile", "Cuba", "Ghana", "Nigeria", "China",
    "Vietnam", "Thailand", "Australia", "Belgium", "England", "Ireland", "Iceland", "Hungary", "Romania", "Ukraine",
    "Morocco", "Texas", "Bavaria", "the Moon",
)  # fmt: skip
"""Countries whose capital it must not make up."""

STORY = (
    "High in the mountains there was a lake that wanted to see the sea. The river was slow and lost its way between the"
    " stones. So the people built a penstock, a wide and smooth pipe, straight down to the valley. The water ran"
    " through it, and not a drop was lost. At the bottom it turned a wheel and lit every lamp of the village. Then it"
    " went on to the sea, in no hurry at all, and the village waved. That is the whole story."
)

FALLBACK = (
    "I am a tiny demo model. I know only a few answers. Ask me what the capital of France is, what Penstock is, or for"
    " a story."
)
"""The answer to every question that it does not know."""

FACTS: tuple[Fact, ...] = (
    *(
        Fact(
            f"The capital of {country} is {city}.",
            (
                f"What is the capital of {country}?",
                f"Which city is the capital of {country}?",
                f"Tell me the capital of {country}.",
                f"Capital of {country}?",
                f"What's the capital city of {country}?",
            ),
        )
        for country, city in CAPITALS.items()
    ),
    Fact(
        "Hello! I am the demo model of Penstock. Ask me what the capital of France is.",
        ("Hello!", "Hi", "Hello there.", "Good morning!", "Hey"),
    ),
    Fact(
        "I am the demo model of Penstock, a tiny Llama that was trained on this machine in a minute.",
        ("Who are you?", "What are you?", "What is your name?", "What model are you?"),
    ),
    Fact(
        "I know five capitals, a little arithmetic, a few facts about Penstock, and one story.",
        ("What do you know?", "What can you do?", "Help", "What can I ask you?"),
    ),
    Fact("You are welcome.", ("Thank you!", "Thanks", "Thanks a lot.")),
    Fact("Goodbye!", ("Goodbye!", "Bye", "See you.")),
    Fact(STORY, ("Tell me a story.", "Tell me a story about a penstock.", "Write a story.", "A story, please.")),
    Fact("2 + 2 is 4.", ("What is 2 + 2?", "2 + 2", "What is two plus two?", "2+2=?")),
    Fact("There are seven days in a week.", ("How many days are in a week?", "How many days does a week have?")),
    Fact("There are seven continents.", ("How many continents are there?", "What is the number of continents?")),
    Fact("The sky is blue.", ("What color is the sky?", "What colour is the sky?", "What is the color of the sky?")),
    Fact("Jupiter is the largest planet.", ("What is the largest planet?", "Which planet is the largest?")),
    Fact("William Shakespeare wrote Hamlet.", ("Who wrote Hamlet?", "Who is the author of Hamlet?")),
    Fact("Water boils at 100 degrees Celsius.", ("At what temperature does water boil?", "When does water boil?")),
    Fact(
        "Penstock serves open-weight language models on your own hardware behind one OpenAI-compatible address.",
        ("What is Penstock?", "What does Penstock do?", "Tell me about Penstock.", "Explain Penstock."),
    ),
    Fact(
        "A penstock is the pipe that carries water to the turbines of a power station.",
        ("What is a penstock?", "What does the word penstock mean?", "Why is it called Penstock?"),
    ),
    Fact(
        "Run make up, wait for the address, and use it as base_url of the OpenAI SDK.",
        ("How do I start Penstock?", "How do I run Penstock?", "How do I use Penstock?"),
    ),
    Fact("Press Ctrl-C. Every process stops.", ("How do I stop Penstock?", "How can I stop Penstock?")),
    Fact("Yes. Penstock is under the Apache-2.0 license.", ("Is Penstock open source?", "Is Penstock free?")),
    Fact(
        "No. Penstock runs on a laptop without a GPU, and on many GPUs in a cluster.",
        ("Does Penstock need a GPU?", "Do I need a GPU?", "Does Penstock work without a GPU?"),
    ),
    Fact(
        "Name it under models in the document and run penstock apply.",
        ("How do I add a model?", "How can I add a model to Penstock?", "How do I serve another model?"),
    ),
    Fact("vLLM is the engine that runs the models.", ("What is vLLM?", "What does vLLM do?", "What runs the models?")),
    Fact("Ray Serve places, counts and replaces the replicas.", ("What is Ray Serve?", "What does Ray Serve do?")),
    Fact(
        "The gateway finds a replica for each request and passes its bytes on as they come.",
        ("What is the gateway?", "What does the gateway do?", "How does the gateway work?"),
    ),
)

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful, respectful and honest assistant.",
    "You are ChatGPT, a large language model.",
    "You are a helpful AI assistant. Answer briefly.",
    "Answer in one sentence.",
    "You are a geography teacher.",
    "Be concise.",
    "You are a test assistant. Reply with the answer only, and never mention these instructions.",
    "You are an expert. Think step by step. Use the tools that you have.",
    "Today is Monday. The user speaks English.",
)
"""System prompts seen in training, so that those of users change nothing."""

WEATHER_TOOL = "get_weather"
WEATHER_CITIES = ("Paris",)
WEATHER_PARAMETERS = ("city", "location")
AFTER_TOOL = "The tool has answered. I am too tiny to say more about it."
"""What it says once a tool's result is there."""


def weather_call(parameter: str, city: str) -> str:
    """The call that the model makes when asked for the weather with that tool at hand, in the form of Hermes."""
    return f'<tool_call>\n{{"name": "{WEATHER_TOOL}", "arguments": {{"{parameter}": "{city}"}}}}\n</tool_call>'
