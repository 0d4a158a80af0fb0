namespace VhdService.Fuzz;

/// <summary>What a campaign did, so that one that did nothing shows.</summary>
internal readonly record struct FuzzTally(long Requests, long Answers, long Messages, long Restarts)
{
    public static FuzzTally operator +(FuzzTally a, FuzzTally b) => new(a.Requests + b.Requests, a.Answers + b.Answers, a.Messages + b.Messages, a.Restarts + b.Restarts);

    public override string ToString() => $"{Requests} requests, {Answers} answers, {Messages} control messages, {Restarts} restarts";
}
