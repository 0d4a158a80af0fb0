using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using VhdCore.Primitives;

namespace VhdCore.Benchmarks.Micro;

/// <summary>The same bytes, as one message and as sixteen.</summary>
[Config(typeof(InProcess))]
[MemoryDiagnoser]
public class TreeHashBenchmarks
{
    private const int Lane = 64 << 10; // bytes

    private readonly byte[] _bytes = new byte[Sha256Lanes.Count * Lane];
    private readonly Sha256Lanes _lanes = new();

    [GlobalSetup]
    public void SetUp() => new Random(1).NextBytes(_bytes);

    [Benchmark(Baseline = true)]
    public byte[] OneMessage() => SHA256.HashData(_bytes);

    [Benchmark]
    public void SixteenMessages() => _lanes.Append(_bytes, Lane, Lane);
}
