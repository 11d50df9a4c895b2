"""The client's half."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """The model that came, with 0.01 added to every value."""
    arrays = ArrayRecord(
        {name: Array(array.numpy() + np.float32(0.01)) for name, array in message.content["arrays"].items()}
    )
    content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})})
    return Message(content=content, reply_to=message)
