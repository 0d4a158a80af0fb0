using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Tests.Vhdx;

/// <summary>The independent reader has to be right itself before the library is compared with it.</summary>
public class PlainVhdxSampleTests
{
    public static TheoryData<string, string> Samples => VhdxSamples.HashesOfSmall;

    [Theory]
    [MemberData(nameof(Samples))]
    public void The_independent_reader_sees_the_known_content(string name, string hash)
    {
        using var folder = new TempFolder();
        using var chain = PlainVhdxChain.Open(File.OpenRead(VhdxSamples.Unpack(name, folder)));
        Assert.Equal(hash, chain.Hash());
    }
}
