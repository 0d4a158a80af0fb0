using BenchmarkDotNet.Attributes;
using VhdCore.Operations;

namespace VhdCore.Benchmarks.Micro;

[Config(typeof(InProcess))]
[MemoryDiagnoser]
public class ZeroTestBenchmarks
{
    private byte[] _zeros = [];
    private byte[] _data = [];

    [Params(4096, 65536, 1 << 20)]
    public int Size { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _zeros = new byte[Size];
        _data = new byte[Size];
        new Random(1).NextBytes(_data);
    }

    [Benchmark(Baseline = true)]
    public bool AllZeros() => ZeroScan.IsZero(_zeros);

    [Benchmark]
    public int RunOfData() => ZeroScan.FirstRun(_data, 4096, out _);

    [Benchmark]
    public int RunOfZeros() => ZeroScan.FirstRun(_zeros, 4096, out _);
}
