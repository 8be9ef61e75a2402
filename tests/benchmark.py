"""Seconds for a 224 px picture in 160 steps, for the two networks of the lessons: ``make bench``.

Prints the clock's time and the process's CPU time; on a busy machine only the latter says something.
"""

import time

import torch

import dip_lessons as dip

STEPS, SIZE = 160, 224
LAYERS = {"squeezenet1_1": "features.9", "inception_v3": "Mixed_6b"}


def main() -> None:
    device = dip.load_network("squeezenet1_1").device
    print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, {SIZE} px, {STEPS} steps")
    for name, layer in LAYERS.items():
        network = dip.load_network(name)
        picture = dip.Fourier(SIZE, generator=torch.Generator().manual_seed(0), device=network.device)
        run = dip.optimize(
            picture, dip.channel(layer, 10), network, views=dip.standard_views(), steps=STEPS + 5, seed=0
        )
        run.advance(5)  # the first steps allocate
        clock, cpu = time.perf_counter(), time.process_time()
        value = run.finish().history[-1]  # reading a number waits for the device
        clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
        speed = f"{STEPS / clock:5.1f} steps/s"
        print(f"{name:<14} {layer:<12} {clock:6.1f} s  {cpu:6.1f} s CPU  {speed}  value {value:.4g}")


if __name__ == "__main__":
    main()
