"""The paper's temperature in a plain PyTorch loop, without Ray and without a store. Run it: python own_loop.py.

Put your own data, teacher and student in the place of the toy ones. docs/own-loop.md explains the calls.
"""

import torch
from torch import nn

from policies.stochastic import Stochastic
from tune_kd.losses import cross_entropy, hinton_distillation

torch.manual_seed(0)
images, labels = torch.randn(256, 20), torch.randint(10, (256,))
teacher = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 10)).eval()  # yours is a trained one
student = nn.Linear(20, 10)
optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9)

epochs, batch_size, alpha = 5, 32, 0.95
temperature = Stochastic().temperature({"tau_low": 2, "tau_high": 20, "tau_step": 1}, seed=0)

for epoch in range(epochs):
    order = torch.randperm(len(images)).split(batch_size)
    temperature.begin_epoch(epoch, epochs, len(order))  # draws the epoch's τ: one for each batch
    for step, batch in enumerate(order):
        with torch.no_grad():
            teacher_logits = teacher(images[batch])
        student_logits = student(images[batch])
        softening = temperature(step, student_logits, teacher_logits)
        kl = hinton_distillation(student_logits, teacher_logits, softening, "batchmean")
        loss = alpha * kl + (1 - alpha) * cross_entropy(student_logits, labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}, last τ {softening.tau_student.item():g}")
