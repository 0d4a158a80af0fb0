using BenchmarkDotNet.Attributes;
using VhdCore.Primitives;

namespace VhdCore.Benchmarks.Micro;

[Config(typeof(InProcess))]
[MemoryDiagnoser]
public class ChecksumBenchmarks
{
    private byte[] _bytes = [];

    [Params(512, 4096, 65536, 1 << 20)]
    public int Size { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _bytes = new byte[Size];
        new Random(1).NextBytes(_bytes);
    }

    [Benchmark(Baseline = true)]
    public uint Crc() => Crc32C.Of(_bytes);

    [Benchmark]
    public uint CrcByTable() => Crc32C.Finish(Crc32CTable.Append(Crc32C.Start, _bytes));

    [Benchmark]
    public uint OnesComplement() => OnesComplementSum.Of(_bytes);
}
